//! The list of kinds, against which settings of policies are checked.

use gatewright_sql::statement_kinds;

#[test]
fn kinds_stand_in_the_order_of_the_alphabet_and_once() {
    let kinds: Vec<&str> = statement_kinds().collect();
    assert!(kinds.is_sorted_by(|one, next| one < next), "{kinds:?}");
    for kind in ["unknown", "select", "drop_table", "alter_role_set", "set_lexing", "grant_role"] {
        assert!(kinds.contains(&kind), "{kind}");
    }
}
