//! What a client sends, one message a file. Each reader must use its body up.

pub mod bind;
pub mod execute;
pub mod function_call;
pub mod name;
pub mod options;
pub mod parse;
pub mod password;
pub mod query;
pub mod startup;

/// Message types that a client sends after startup (manual, section 55.7).
pub mod tag {
    /// Bind parameters to a statement, making a portal.
    pub const BIND: u8 = b'B';
    /// Close a statement or portal.
    pub const CLOSE: u8 = b'C';
    /// A part of COPY data.
    pub const COPY_DATA: u8 = b'd';
    /// COPY data is complete.
    pub const COPY_DONE: u8 = b'c';
    /// COPY failed on the client's side.
    pub const COPY_FAIL: u8 = b'f';
    /// Describe a statement or portal.
    pub const DESCRIBE: u8 = b'D';
    /// Run a portal.
    pub const EXECUTE: u8 = b'E';
    /// Send what is there.
    pub const FLUSH: u8 = b'H';
    /// Call a function by oid: the "fast path".
    pub const FUNCTION_CALL: u8 = b'F';
    /// Prepare a statement.
    pub const PARSE: u8 = b'P';
    /// A password, or a part of a SASL exchange.
    pub const PASSWORD: u8 = b'p';
    /// Run a text.
    pub const QUERY: u8 = b'Q';
    /// End of a batch.
    pub const SYNC: u8 = b'S';
    /// Goodbye.
    pub const TERMINATE: u8 = b'X';
}
