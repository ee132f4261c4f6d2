//! What a master tells a framework.

use prost::Message;

use super::MessageBody;
use crate::{
    AgentId, ExecutorId, FrameworkId, InverseOffer, MasterInfo, Offer, OfferId, OperationStatus,
    TaskStatus,
};

messages! {
    /// What the master tells a framework.
    #[derive(Clone, PartialEq, Message)]
    pub struct Event {
        /// Which of the bodies is meant.
        optional enum<EventType> r#type = 1,
        /// Body of SUBSCRIBED.
        optional message<Subscribed> subscribed = 2,
        /// Body of OFFERS.
        optional message<Offers> offers = 3,
        /// Body of INVERSE_OFFERS.
        optional message<InverseOffers> inverse_offers = 9,
        /// Body of RESCIND.
        optional message<Rescind> rescind = 4,
        /// Body of RESCIND_INVERSE_OFFER.
        optional message<RescindInverseOffer> rescind_inverse_offer = 10,
        /// Body of UPDATE.
        optional message<Update> update = 5,
        /// Body of UPDATE_OPERATION_STATUS.
        optional boxed<UpdateOperationStatus> update_operation_status = 11,
        /// Body of MESSAGE.
        optional message<MessageBody> message = 6,
        /// Body of FAILURE.
        optional message<Failure> failure = 7,
        /// Body of ERROR.
        optional message<Error> error = 8,
    }

    /// Body of SUBSCRIBED.
    #[derive(Clone, PartialEq, Message)]
    pub struct Subscribed {
        /// The framework's id, now and later.
        required message<FrameworkId> framework_id = 1,
        /// Seconds between heartbeats.
        optional double heartbeat_interval_seconds = 2,
        /// The master.
        optional message<MasterInfo> master_info = 3,
    }

    /// Body of OFFERS.
    #[derive(Clone, PartialEq, Message)]
    pub struct Offers {
        /// The offers.
        repeated message<Offer> offers = 1,
    }

    /// Body of INVERSE_OFFERS.
    #[derive(Clone, PartialEq, Message)]
    pub struct InverseOffers {
        /// The inverse offers.
        repeated message<InverseOffer> inverse_offers = 1,
    }

    /// Body of RESCIND.
    #[derive(Clone, PartialEq, Message)]
    pub struct Rescind {
        /// The offer withdrawn.
        required message<OfferId> offer_id = 1,
    }

    /// Body of RESCIND_INVERSE_OFFER.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct RescindInverseOffer {
        /// The inverse offer withdrawn.
        required message<OfferId> inverse_offer_id = 1,
    }

    /// Body of UPDATE.
    #[derive(Clone, PartialEq, Message)]
    pub struct Update {
        /// The status.
        required message<TaskStatus> status = 1,
    }

    /// Body of UPDATE_OPERATION_STATUS.
    #[derive(Clone, PartialEq, Message)]
    pub struct UpdateOperationStatus {
        /// The status.
        required message<OperationStatus> status = 1,
    }

    /// Body of FAILURE.
    #[derive(Clone, PartialEq, Message)]
    pub struct Failure {
        /// The agent.
        optional message<AgentId> agent_id = 1,
        /// The executor; absent when the agent is lost.
        optional message<ExecutorId> executor_id = 2,
        /// Its raw wait status; -1 when unknown.
        optional int32 status = 3,
    }

    /// Body of ERROR.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Error {
        /// What is wrong.
        required string message = 1,
    }
}

enumerations! {
    /// The events of the scheduler API.
    pub enum EventType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// The subscription is accepted; always the first.
        Subscribed = 1 "SUBSCRIBED",
        /// Resources are offered.
        Offers = 2 "OFFERS",
        /// Resources are asked back.
        InverseOffers = 9 "INVERSE_OFFERS",
        /// An offer is withdrawn.
        Rescind = 3 "RESCIND",
        /// An inverse offer is withdrawn.
        RescindInverseOffer = 10 "RESCIND_INVERSE_OFFER",
        /// What became of a task.
        Update = 4 "UPDATE",
        /// What became of an operation.
        UpdateOperationStatus = 11 "UPDATE_OPERATION_STATUS",
        /// Bytes from an executor.
        Message = 5 "MESSAGE",
        /// An executor or an agent is gone.
        Failure = 6 "FAILURE",
        /// The subscription is over.
        Error = 7 "ERROR",
        /// The master lives.
        Heartbeat = 8 "HEARTBEAT",
    }
}
