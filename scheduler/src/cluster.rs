//! What clients of the master's port ask for that only the driver knows.

use std::{future::Future, pin::Pin};

use muster_api::{limits, views::ClusterView};
use muster_engine::query::{Answer, Query};
use muster_master::server::Cluster;
use tokio::time::timeout;

use crate::handle::DriverHandle;

/// The master, asked by way of the driver.
#[derive(Debug)]
pub(crate) struct AskedDriver(pub(crate) DriverHandle);

impl Cluster for AskedDriver {
    fn look(&self) -> Pin<Box<dyn Future<Output = Option<ClusterView>> + Send + '_>> {
        Box::pin(async {
            let asked = self.0.query(Query::Cluster { rows: limits::STATE_ROWS });
            match timeout(limits::DRIVER_ANSWER, asked).await {
                Ok(Ok(Answer::Cluster(cluster))) => Some(*cluster),
                _ => None,
            }
        })
    }
}
