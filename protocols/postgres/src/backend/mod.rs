//! What a server sends, one message a file.

pub mod authentication;
pub mod command_complete;
pub mod copy_out_response;
pub mod error_response;
pub mod notification_response;
pub mod parameter_status;
pub mod ready_for_query;
pub mod row_description;

/// Message types that a server sends (manual, section 55.7).
pub mod tag {
    /// Any step of authentication.
    pub const AUTHENTICATION: u8 = b'R';
    /// Process id and key for cancel requests.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// Bind is done.
    pub const BIND_COMPLETE: u8 = b'2';
    /// Close is done.
    pub const CLOSE_COMPLETE: u8 = b'3';
    /// A statement is done.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// COPY data flows both ways: replication.
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// A part of COPY data.
    pub const COPY_DATA: u8 = b'd';
    /// COPY data is complete.
    pub const COPY_DONE: u8 = b'c';
    /// The server waits for COPY data.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// The server will send COPY data.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// A row.
    pub const DATA_ROW: u8 = b'D';
    /// The text held no statement.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// An error.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// The answer of a function call.
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    /// The server speaks another minor version or not these options.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// There is no row description.
    pub const NO_DATA: u8 = b'n';
    /// A notice.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// A message of NOTIFY.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// The types of a statement's parameters.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// The value of a setting.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// Parse is done.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// A portal has more rows.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// The server waits for the next batch.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// The columns of the rows that follow.
    pub const ROW_DESCRIPTION: u8 = b'T';
}
