//! What the master answers at once. All other calls are answered by events, or not at all.

use prost::Message;

use crate::OperationStatus;

messages! {
    /// The answer to a call that has one.
    #[derive(Clone, PartialEq, Message)]
    pub struct Response {
        /// Which of the bodies is meant.
        optional enum<ResponseType> r#type = 1,
        /// The answer to RECONCILE_OPERATIONS.
        optional message<OperationStatuses> reconcile_operations = 2,
    }

    /// The truth about operations.
    #[derive(Clone, PartialEq, Message)]
    pub struct OperationStatuses {
        /// One status for each.
        repeated message<OperationStatus> operation_statuses = 1,
    }
}

enumerations! {
    /// The calls that are answered at once.
    pub enum ResponseType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// The truth about operations.
        ReconcileOperations = 1 "RECONCILE_OPERATIONS",
    }
}
