//! Offers, and offers asked back.

use prost::Message;

use super::{
    AgentId, AllocationInfo, Attribute, DomainInfo, ExecutorId, FrameworkId, OfferId, Resource,
    Unavailability, Url,
};

messages! {
    /// Resources of one agent, offered to one framework.
    #[derive(Clone, PartialEq, Message)]
    pub struct Offer {
        /// Its id.
        required message<OfferId> id = 1,
        /// To whom.
        required message<FrameworkId> framework_id = 2,
        /// Of which agent.
        required message<AgentId> agent_id = 3,
        /// The agent's host name.
        required string hostname = 4,
        /// Where the agent is reached.
        optional boxed<Url> url = 8,
        /// Where the agent stands.
        optional boxed<DomainInfo> domain = 11,
        /// What is free.
        repeated message<Resource> resources = 5,
        /// Facts about the agent.
        repeated message<Attribute> attributes = 7,
        /// The framework's executors that live there.
        repeated message<ExecutorId> executor_ids = 6,
        /// When the agent will not be there, as planned.
        optional message<Unavailability> unavailability = 9,
        /// The role it is offered to.
        optional message<AllocationInfo> allocation_info = 10,
    }

    /// A wish of the master to have resources back, for their agent will not be there.
    #[derive(Clone, PartialEq, Message)]
    pub struct InverseOffer {
        /// Its id.
        required message<OfferId> id = 1,
        /// Where the agent is reached.
        optional boxed<Url> url = 2,
        /// From whom.
        required message<FrameworkId> framework_id = 3,
        /// Of which agent; absent: of all.
        optional message<AgentId> agent_id = 4,
        /// When.
        required message<Unavailability> unavailability = 5,
        /// Which; none: all.
        repeated message<Resource> resources = 6,
    }

    /// How long declined resources are not to be offered again.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Filters {
        /// Seconds; absent means 5.
        optional double refuse_seconds = 1 [default 5.0],
    }

    /// A wish for resources, which the allocator of Mesos ignores.
    #[derive(Clone, PartialEq, Message)]
    pub struct ResourceRequest {
        /// Of which agent; absent: of any.
        optional message<AgentId> agent_id = 1,
        /// Which.
        repeated message<Resource> resources = 2,
    }
}
