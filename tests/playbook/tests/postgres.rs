//! The PostgreSQL session, scene by scene.

mod postgres {
    mod batch;
    mod copy;
    mod login;
    mod masks;
    mod prepared;
    mod query;
}
