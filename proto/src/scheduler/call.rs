//! What a framework asks of its master.

use prost::Message;

use crate::{
    AgentId, ExecutorId, Filters, FrameworkId, FrameworkInfo, KillPolicy, OfferConstraints,
    OfferId, Operation, OperationId, ResourceProviderId, ResourceRequest, TaskId,
};

messages! {
    /// What a framework asks of the master.
    #[derive(Clone, PartialEq, Message)]
    pub struct Call {
        /// Who asks; absent only in a first subscription.
        optional message<FrameworkId> framework_id = 1,
        /// Which of the bodies is meant.
        optional enum<CallType> r#type = 2,
        /// Body of SUBSCRIBE.
        optional message<Subscribe> subscribe = 3,
        /// Body of ACCEPT.
        optional message<Accept> accept = 4,
        /// Body of DECLINE.
        optional message<Decline> decline = 5,
        /// Body of ACCEPT_INVERSE_OFFERS.
        optional message<InverseOfferAnswer> accept_inverse_offers = 13,
        /// Body of DECLINE_INVERSE_OFFERS.
        optional message<InverseOfferAnswer> decline_inverse_offers = 14,
        /// Body of REVIVE; absent: all roles.
        optional message<Revive> revive = 15,
        /// Body of KILL.
        optional message<Kill> kill = 6,
        /// Body of SHUTDOWN.
        optional message<Shutdown> shutdown = 7,
        /// Body of ACKNOWLEDGE.
        optional message<Acknowledge> acknowledge = 8,
        /// Body of ACKNOWLEDGE_OPERATION_STATUS.
        optional boxed<AcknowledgeOperationStatus> acknowledge_operation_status = 17,
        /// Body of RECONCILE.
        optional message<Reconcile> reconcile = 9,
        /// Body of RECONCILE_OPERATIONS.
        optional message<ReconcileOperations> reconcile_operations = 18,
        /// Body of MESSAGE.
        optional message<MessageBody> message = 10,
        /// Body of REQUEST.
        optional message<Request> request = 11,
        /// Body of SUPPRESS; absent: all roles.
        optional message<Suppress> suppress = 16,
        /// Body of UPDATE_FRAMEWORK.
        optional boxed<UpdateFramework> update_framework = 19,
    }

    /// Body of SUBSCRIBE.
    #[derive(Clone, PartialEq, Message)]
    pub struct Subscribe {
        /// Who subscribes.
        required message<FrameworkInfo> framework_info = 1,
        /// The roles that want no offers for now.
        repeated string suppressed_roles = 2,
        /// Which agents are to be offered.
        optional message<OfferConstraints> offer_constraints = 3,
    }

    /// Body of ACCEPT.
    #[derive(Clone, PartialEq, Message)]
    pub struct Accept {
        /// The offers used, all of one agent.
        repeated message<OfferId> offer_ids = 1,
        /// What to do with them, in order.
        repeated message<Operation> operations = 2,
        /// How long what is left is not to be offered again.
        optional message<Filters> filters = 3,
    }

    /// Body of DECLINE.
    #[derive(Clone, PartialEq, Message)]
    pub struct Decline {
        /// The offers given back.
        repeated message<OfferId> offer_ids = 1,
        /// How long they are not to be offered again.
        optional message<Filters> filters = 2,
    }

    /// Body of ACCEPT_INVERSE_OFFERS and of DECLINE_INVERSE_OFFERS.
    #[derive(Clone, PartialEq, Message)]
    pub struct InverseOfferAnswer {
        /// The inverse offers that are answered.
        repeated message<OfferId> inverse_offer_ids = 1,
        /// How long they are not to be made again.
        optional message<Filters> filters = 2,
    }

    /// Body of REVIVE.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Revive {
        /// The roles that want offers again, without filters; none: all.
        repeated string roles = 1,
    }

    /// Body of KILL.
    #[derive(Clone, PartialEq, Message)]
    pub struct Kill {
        /// Which task.
        required message<TaskId> task_id = 1,
        /// Where it is.
        optional message<AgentId> agent_id = 2,
        /// How; goes before the task's own policy.
        optional message<KillPolicy> kill_policy = 3,
    }

    /// Body of SHUTDOWN.
    #[derive(Clone, PartialEq, Message)]
    pub struct Shutdown {
        /// Which executor.
        required message<ExecutorId> executor_id = 1,
        /// Where it is.
        required message<AgentId> agent_id = 2,
    }

    /// Body of ACKNOWLEDGE.
    #[derive(Clone, PartialEq, Message)]
    pub struct Acknowledge {
        /// The agent of the task.
        required message<AgentId> agent_id = 1,
        /// The task.
        required message<TaskId> task_id = 2,
        /// The uuid of the status, 16 bytes.
        required bytes uuid = 3,
    }

    /// Body of ACKNOWLEDGE_OPERATION_STATUS.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct AcknowledgeOperationStatus {
        /// The agent of the operation.
        optional message<AgentId> agent_id = 1,
        /// The provider of its resources, if not the agent itself.
        optional message<ResourceProviderId> resource_provider_id = 2,
        /// The uuid of the status, 16 bytes.
        required bytes uuid = 3,
        /// The operation.
        required message<OperationId> operation_id = 4,
    }

    /// Body of RECONCILE; no tasks means all.
    #[derive(Clone, PartialEq, Message)]
    pub struct Reconcile {
        /// The tasks in question.
        repeated message<ReconcileTask> tasks = 1,
    }

    /// A task in question.
    #[derive(Clone, PartialEq, Message)]
    pub struct ReconcileTask {
        /// Its id.
        required message<TaskId> task_id = 1,
        /// Where it was launched.
        optional message<AgentId> agent_id = 2,
    }

    /// Body of RECONCILE_OPERATIONS; no operations means all.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ReconcileOperations {
        /// The operations in question.
        repeated message<ReconcileOperation> operations = 1,
    }

    /// An operation in question.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct ReconcileOperation {
        /// Its id.
        required message<OperationId> operation_id = 1,
        /// Where it was to be done.
        optional message<AgentId> agent_id = 2,
        /// The provider of its resources, if not the agent itself.
        optional message<ResourceProviderId> resource_provider_id = 3,
    }

    /// Bytes between a framework and one of its executors, in both directions.
    #[derive(Clone, PartialEq, Message)]
    pub struct MessageBody {
        /// The executor's agent.
        required message<AgentId> agent_id = 1,
        /// The executor.
        required message<ExecutorId> executor_id = 2,
        /// The bytes.
        required bytes data = 3,
    }

    /// Body of REQUEST.
    #[derive(Clone, PartialEq, Message)]
    pub struct Request {
        /// The wishes.
        repeated message<ResourceRequest> requests = 1,
    }

    /// Body of SUPPRESS.
    #[derive(Clone, PartialEq, Eq, Message)]
    pub struct Suppress {
        /// The roles that want no offers for now; none: all.
        repeated string roles = 1,
    }

    /// Body of UPDATE_FRAMEWORK.
    #[derive(Clone, PartialEq, Message)]
    pub struct UpdateFramework {
        /// What the framework says of itself now.
        required message<FrameworkInfo> framework_info = 1,
        /// The roles that want no offers for now.
        repeated string suppressed_roles = 2,
        /// Which agents are to be offered.
        optional message<OfferConstraints> offer_constraints = 3,
    }
}

enumerations! {
    /// The calls of the scheduler API.
    pub enum CallType {
        /// Not set.
        Unknown = 0 "UNKNOWN",
        /// Begin to receive events.
        Subscribe = 1 "SUBSCRIBE",
        /// End this framework and its tasks.
        Teardown = 2 "TEARDOWN",
        /// Use offers.
        Accept = 3 "ACCEPT",
        /// Give offers back.
        Decline = 4 "DECLINE",
        /// Give back what inverse offers ask for, in time.
        AcceptInverseOffers = 13 "ACCEPT_INVERSE_OFFERS",
        /// Keep what inverse offers ask for.
        DeclineInverseOffers = 14 "DECLINE_INVERSE_OFFERS",
        /// Ask for offers again, without filters.
        Revive = 5 "REVIVE",
        /// End a task.
        Kill = 6 "KILL",
        /// End an executor.
        Shutdown = 7 "SHUTDOWN",
        /// Take custody of a status.
        Acknowledge = 8 "ACKNOWLEDGE",
        /// Take custody of the status of an operation.
        AcknowledgeOperationStatus = 15 "ACKNOWLEDGE_OPERATION_STATUS",
        /// Ask for the truth about tasks.
        Reconcile = 9 "RECONCILE",
        /// Ask for the truth about operations.
        ReconcileOperations = 16 "RECONCILE_OPERATIONS",
        /// Send bytes to an executor.
        Message = 10 "MESSAGE",
        /// Wish for resources.
        Request = 11 "REQUEST",
        /// Want no offers for now.
        Suppress = 12 "SUPPRESS",
        /// Say anew what the framework is.
        UpdateFramework = 17 "UPDATE_FRAMEWORK",
    }
}
