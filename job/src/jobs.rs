//! Handlers by name, and how they are called.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    thread,
};

use tokio::{runtime::Handle, sync::oneshot};

use crate::{Context, JobError, Outcome, outcome::check_result};

type Returned = Result<Outcome, JobError>;
type Future = Pin<Box<dyn std::future::Future<Output = Returned> + Send>>;

/// The code of one job.
#[derive(Clone)]
enum Handler {
    Async(Arc<dyn Fn(Context) -> Future + Send + Sync>),
    Blocking(Arc<dyn Fn(Context) -> Returned + Send + Sync>),
}

/// The handlers of one program, by name. A job names its handler in its field `handler`, which
/// is the job's own name when absent.
#[derive(Clone, Default)]
pub struct Jobs {
    handlers: BTreeMap<String, Handler>,
}

impl Jobs {
    /// No handlers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an async handler. It runs on the runtime of the program, beside the handlers of other
    /// tasks, so it must not block.
    ///
    /// # Panics
    ///
    /// When the name is taken: that is a bug of the program, best found at its start.
    #[must_use]
    pub fn register<H, F, T, E>(self, name: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Context) -> F + Send + Sync + 'static,
        F: std::future::Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Outcome>,
        E: Into<JobError>,
    {
        let call = move |context| -> Future {
            let returned = handler(context);
            Box::pin(async move { returned.await.map(Into::into).map_err(Into::into) })
        };
        self.add(name.into(), Handler::Async(Arc::new(call)))
    }

    /// Adds a handler that may block: each call has a thread of its own.
    ///
    /// # Panics
    ///
    /// When the name is taken.
    #[must_use]
    pub fn register_blocking<H, T, E>(self, name: impl Into<String>, handler: H) -> Self
    where
        H: Fn(Context) -> Result<T, E> + Send + Sync + 'static,
        T: Into<Outcome>,
        E: Into<JobError>,
    {
        let call = move |context| handler(context).map(Into::into).map_err(Into::into);
        self.add(name.into(), Handler::Blocking(Arc::new(call)))
    }

    fn add(mut self, name: String, handler: Handler) -> Self {
        let taken = self.handlers.contains_key(&name);
        assert!(!taken, "the handler `{name}` is registered twice");
        self.handlers.insert(name, handler);
        self
    }

    /// The registered names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.handlers.keys().map(String::as_str)
    }

    /// Calls the handler `name` and gives the result that is to be kept.
    ///
    /// An async handler runs on `runtime`, a blocking one on a new thread; `started` is called
    /// there right before it. A panic is an error like others. Dropping the returned future does
    /// not stop the handler: that is what cancelling the context is for.
    pub async fn call(
        &self,
        name: &str,
        context: Context,
        runtime: &Handle,
        started: impl FnOnce() + Send + 'static,
    ) -> Result<Option<String>, JobError> {
        let handler = self.handlers.get(name).ok_or_else(|| {
            let known: Vec<_> = self.names().collect();
            JobError::new(format!("no handler `{name}` is registered, only {known:?}"))
        })?;
        let called = context.clone();
        let outcome = match handler.clone() {
            Handler::Async(handler) => {
                let code = async move {
                    started();
                    handler(called).await
                };
                match runtime.spawn(code).await {
                    Ok(returned) => returned?,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => return Err(panicked(panic.as_ref())),
                        Err(_) => return Err(JobError::new("the runtime of handlers has ended")),
                    },
                }
            }
            Handler::Blocking(handler) => {
                call_on_thread(name, move || {
                    started();
                    handler(called)
                })
                .await?
            }
        };
        let result = outcome.result.map(check_result).transpose()?;
        Ok(result.or_else(|| context.take_result()))
    }
}

async fn call_on_thread(name: &str, code: impl FnOnce() -> Returned + Send + 'static) -> Returned {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new().name(format!("job {name}")).spawn(move || {
        // What the closure owns is not looked at again after a panic.
        let returned = catch_unwind(AssertUnwindSafe(code));
        // Nobody waits any more when the program is at its end.
        let _ = sender.send(returned.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))));
    })?;
    receiver.await.unwrap_or_else(|_| Err(JobError::new("the thread of the handler has ended")))
}

fn panicked(panic: &(dyn Any + Send)) -> JobError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    JobError::new(format!("the handler panicked: {}", text.unwrap_or("without a text")))
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
