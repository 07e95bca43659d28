use super::*;

fn route(name: &str, host: &str, path: &str) -> Result<Route, RouteError> {
    Route::new(Arc::from(name), host, path, Injection::default())
}

fn table(routes: &[(&str, &str, &str)]) -> Result<Routes, RouteError> {
    let routes: Result<Vec<Route>, RouteError> =
        routes.iter().map(|(name, host, path)| route(name, host, path)).collect();
    Routes::new(routes?)
}

/// The route that was taken, and what it bound.
fn found(routes: &Routes, host: &str, path: &str) -> String {
    let Some(taken) = routes.find(host, path) else { return "none".to_owned() };
    let bound = taken.parameters.iter().map(|(name, value)| format!(" {name}={value}"));
    format!("{}{}", taken.route.name, bound.collect::<String>())
}

#[test]
fn the_most_specific_route_wins_in_any_order_of_the_configuration() {
    let mut given = vec![
        ("any", "*", "/"),
        ("wide", "*.example.com", "/"),
        ("wider", "*.a.example.com", "/"),
        ("exact", "api.a.example.com", "/"),
        ("tenants", "*", "/tenants/{tenant}"),
        ("one", "*", "/tenants/one"),
        ("items", "*", "/tenants/{tenant}/items/{item}"),
        ("own", "*", "/tenants/{tenant}/items/own"),
    ];
    for _ in 0..given.len() {
        given.rotate_left(1);
        let routes = table(&given).unwrap();
        assert_eq!(found(&routes, "x", "/"), "any");
        assert_eq!(found(&routes, "b.example.com", "/tenants/one"), "wide");
        assert_eq!(found(&routes, "example.com", "/"), "any");
        assert_eq!(found(&routes, "evilexample.com", "/"), "any");
        assert_eq!(found(&routes, "b.a.example.com", "/x"), "wider");
        assert_eq!(found(&routes, "api.a.example.com", "/x/y"), "exact");
        assert_eq!(found(&routes, "x", "/tenants/one"), "one");
        assert_eq!(found(&routes, "x", "/tenants/one/more"), "one");
        assert_eq!(found(&routes, "x", "/tenants/a%20b/"), "tenants tenant=a b");
        assert_eq!(found(&routes, "x", "/tenants/1/items/2/3"), "items tenant=1 item=2");
        assert_eq!(found(&routes, "x", "/tenants/1/items/own"), "own tenant=1");
        assert_eq!(found(&routes, "x", "/tenants/"), "any");
        assert_eq!(found(&routes, "x", "/tenantsx"), "any");
    }
}

#[test]
fn nothing_matches_where_there_is_no_route() {
    let routes = table(&[("api", "api.example", "/v1/")]).unwrap();
    assert_eq!(found(&routes, "api.example", "/v1"), "api");
    assert_eq!(found(&routes, "api.example", "/v1/x"), "api");
    assert_eq!(found(&routes, "api.example", "/v10"), "none");
    assert_eq!(found(&routes, "api.example", "/"), "none");
    assert_eq!(found(&routes, "other.example", "/v1"), "none");
    assert_eq!(found(&Routes::default(), "x", "/"), "none");
}

#[test]
fn a_route_that_could_match_nothing_is_an_error() {
    let name = || Arc::from("r");
    for host in ["", "a:1", "*.", "*x", "a.*", "A b", "*.a:1"] {
        assert_eq!(route("r", host, "/").unwrap_err(), RouteError::Host(name()), "{host}");
    }
    for path in ["", "a", "/a//b", "/a/../b", "/{", "/{}", "/a{b}", "/{a b}", "/a;b", "//"] {
        assert_eq!(route("r", "*", path).unwrap_err(), RouteError::Path(name()), "{path}");
    }
    assert_eq!(route("r", "*", "/{a}/{a}").unwrap_err(), RouteError::Parameter(name(), Arc::from("a")));
}

#[test]
fn routes_that_can_not_be_told_apart_are_an_error() {
    let same = table(&[("a", "*", "/{x}/b"), ("b", "*", "/{y}/%62/")]).unwrap_err();
    assert!(matches!(same, RouteError::Same(..)), "{same}");
    assert_eq!(table(&[("a", "*", "/b"), ("a", "*", "/c")]).unwrap_err(), RouteError::Name(Arc::from("a")));
    assert!(table(&[("a", "X.example", "/"), ("b", "x.Example", "/")]).is_err());
}
