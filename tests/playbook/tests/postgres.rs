//! The PostgreSQL session, scene by scene.

mod postgres {
    mod batch;
    mod calls;
    mod cancel;
    mod copy;
    mod guesses;
    mod limits;
    mod login;
    mod masks;
    mod names;
    mod prepared;
    mod query;
    mod red_team;
    mod reports;
    mod stale;
    mod strings;
}
