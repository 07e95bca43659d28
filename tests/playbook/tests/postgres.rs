//! The PostgreSQL session, scene by scene.

mod postgres {
    mod batch;
    mod calls;
    mod cancel;
    mod copy;
    mod defines;
    mod definitions;
    mod ends;
    mod errand;
    mod guesses;
    mod limits;
    mod login;
    mod masked_copy;
    mod masks;
    mod names;
    mod prepared;
    mod query;
    mod red_team;
    mod reports;
    mod stale;
    mod strings;
    mod syntax;
    mod united;
}
