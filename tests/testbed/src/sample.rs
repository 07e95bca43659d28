//! The sample data of the demo and the tests, which the documents in `policies/` are written for.

/// Makes the tables `people` and `orders`, for the account `app` to use.
pub const SAMPLE: &str = "
create table people (
    id bigint primary key,
    name text not null,
    email text not null,
    card text not null,
    ssn text not null,
    city text not null
);
create table orders (
    id bigint primary key,
    person bigint not null references people,
    item text not null,
    cents bigint not null
);
create table scratch (note text);
insert into people values
    (1, 'Ada Lovelace', 'ada@example.com', '4111 1111 1111 1111', '536-22-8726', 'London'),
    (2, 'Grace Hopper', 'grace@example.com', '5500 0000 0000 0004', '518-44-2290', 'New York'),
    (3, 'Alan Turing', 'alan@example.com', '3400 0000 0000 009', '457-55-5462', 'Wilmslow'),
    (4, 'Edsger Dijkstra', 'edsger@example.com', '6011 0000 0000 0004', '512-34-5678', 'Nuenen');
insert into orders
    select n, 1 + n % 4, (array['keyboard', 'lamp', 'notebook', 'chair'])[1 + n % 4], 500 + 37 * n
    from generate_series(1, 40) as n;
create view people_public as select id, name, email as contact from people;
alter table people owner to app;
alter table orders owner to app;
alter table scratch owner to app;
alter view people_public owner to app;
";
