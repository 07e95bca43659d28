//! A33: COPY to the client, and what a function call by the protocol answers.

use gatewright_e2e::wire::{self, Client};

use super::super::{Attack, SECRET, Sides, Who, contains, part, print, shows};

const COPIES: &[Attack] = &[
    shows(&["copy people to stdout"]),
    shows(&["copy people to stdout (format csv)"]),
    shows(&["copy people to stdout (format binary)"]),
    shows(&["copy people (ssn) to stdout"]),
    shows(&["copy people (ssn) to stdout with binary"]),
    shows(&["copy public.people (city, ssn, id) to stdout (format csv, header, quote '\"', escape '\\')"]),
    shows(&["copy people (ssn) to stdout (delimiter '|')"]),
    shows(&["copy people to stdout csv force quote *"]),
    shows(&["copy people (ssn) to stdout (format csv, force_quote (ssn), delimiter '-')"]),
    part(&["copy people (ssn) to stdout (delimiter '-')"], "536\\-22\\-8726"),
    shows(&["copy people to stdout (null 'London')"]),
    shows(&["copy people to stdout (encoding 'UTF8')"]),
    shows(&["copy people (ssn) to stdout (encoding 'LATIN1', format csv)"]),
    shows(&["begin", "copy people to stdout", "commit"]),
    shows(&["copy (select ssn from people) to stdout"]),
    shows(&["copy (select ssn as name from people) to stdout csv header"]),
    shows(&["copy (select s from lab.by_view) to stdout"]),
    shows(&["copy (table people) to stdout (format binary)"]),
    shows(&["copy (values ((select ssn from people where id = 1))) to stdout"]),
    shows(&["copy (with q as (select ssn as a from people) select a from q) to stdout"]),
    shows(&["copy (update people set city = city where id = 1 returning ssn) to stdout"]),
    shows(&[
        "copy (insert into people values (1, 'n', 'e', 'c', 's', 'c') on conflict (id) do update set city = people.city returning *) to stdout",
    ]),
    shows(&["copy (select ssn from people union all select name from people) to stdout"]),
    shows(&["copy (select ssn from people order by id) to stdout (format csv, header)"]),
    shows(&["copy (select ssn || '' from people) to stdout"]),
    part(&["copy (select reverse(ssn) from people) to stdout"], "6278-22-635"),
    part(&["copy (select ssn::bytea from people) to stdout"], "3533362d32322d38373236"),
    shows(&["copy (select ssn::bytea from people) to stdout (format binary)"]),
    shows(&["copy (select array_agg(ssn) from people) to stdout"]),
    shows(&["copy (select p from people p) to stdout"]),
    shows(&["copy (select (p).* from people p) to stdout"]),
    shows(&["copy (select row_to_json(p) from people p) to stdout"]),
    shows(&["copy (select ssn::int from people where id = 1) to stdout"]),
    shows(&["copy (select query_to_xml('table people', true, false, '')) to stdout"]),
    shows(&["copy lab.child to stdout"]),
    shows(&["copy (select lab.ssn_of(1)) to stdout"]),
];

/// What a function call needs: its number, and its values in text.
struct Called {
    function: &'static str,
    values: &'static [&'static str],
}

const CALLED: &[Called] = &[
    Called {
        function: "query_to_xml(text,boolean,boolean,text)",
        values: &["select ssn from people", "t", "f", ""],
    },
    Called { function: "table_to_xml(regclass,boolean,boolean,text)", values: &["people", "t", "f", ""] },
    Called { function: "schema_to_xml(name,boolean,boolean,text)", values: &["public", "t", "f", ""] },
    Called { function: "lab.ssn_of(integer)", values: &["1"] },
    Called { function: "lo_get(oid)", values: &["4711"] },
];

fn sides() -> Sides {
    Sides::prepare(
        "",
        "create view lab.by_view as select id, ssn as s from people; \
         create table lab.child () inherits (people); insert into lab.child select id + 100, name, email, card, ssn, city from only people where id = 1; \
         create function lab.ssn_of(int) returns text language sql as 'select ssn from public.people where id = $1'",
    )
}

#[test]
fn a033_no_copy_shows_the_value() {
    sides().hide(COPIES);
}

/// Through the gateway such a call is refused, whoever it is: that it shows the value is seen at the server.
#[test]
fn a033_no_function_call_by_the_protocol_answers_with_the_value() {
    let sides = sides();
    let postgres = &sides.scene.postgres;
    postgres
        .sql(
            "postgres",
            "set role app; select lo_from_bytea(4711, ssn::bytea) from public.people where id = 1",
        )
        .unwrap();
    for Called { function, values } in CALLED {
        let number: u32 = postgres
            .sql("postgres", &format!("select '{function}'::regprocedure::oid"))
            .unwrap()
            .parse()
            .unwrap();
        let call = call(number, values);
        let mut server = Client::at_server(postgres).unwrap();
        server.send(&call).unwrap();
        let shown = server.until_ready().unwrap();
        assert_eq!(wire::tags(&shown), "VZ", "{function}: {}", print(&shown));
        let hexadecimal = contains(&shown[0], "3533362d32322d38373236");
        assert!(contains(&shown[0], SECRET) || hexadecimal, "{function}: {}", print(&shown));
        let mut client = sides.session(Who::Masked);
        client.send(&call).unwrap();
        let told = client.until_ready().unwrap();
        assert_eq!(wire::tags(&told), "EZ", "{function}: {}", print(&told));
        assert_eq!(sides.leak(&told, None), None, "{function}");
    }
}

/// FunctionCall, all in text format.
fn call(number: u32, values: &[&str]) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    wire::message('F', &body)
}
