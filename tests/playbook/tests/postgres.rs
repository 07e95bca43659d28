//! The PostgreSQL session, scene by scene.

mod postgres {
    mod batch;
    mod calls;
    mod cancel;
    mod copy;
    mod limits;
    mod login;
    mod masks;
    mod names;
    mod prepared;
    mod query;
    mod reports;
    mod stale;
    mod strings;
}
