//! Handlers as an executor calls them.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use muster_job::{Context, JobError, Jobs, testing::TestContext};
use tokio::runtime::{Builder, Handle, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn jobs() -> Jobs {
    Jobs::new()
        .register("nothing", |_: Context| async { Ok::<_, JobError>(()) })
        .register("text", |_: Context| async { Ok::<_, JobError>("returned") })
        .register("set", |context: Context| async move {
            context.set_result("set")?;
            Ok::<_, JobError>(())
        })
        .register("both", |context: Context| async move {
            context.set_result("set")?;
            Ok::<_, JobError>("returned".to_owned())
        })
        .register("long", |_: Context| async { Ok::<_, JobError>("x".repeat(4001)) })
        .register("io", |_: Context| async { Err::<(), _>(std::io::Error::other("no disk")) })
        .register("panics", |_: Context| async { panic_with("async") })
        .register_blocking("panics-blocking", |_: Context| panic_with("blocking"))
        .register_blocking("thread", |_: Context| {
            Ok::<_, JobError>(std::thread::current().name().map(str::to_owned))
        })
}

fn panic_with(text: &str) -> Result<(), JobError> {
    panic!("{text} went wrong")
}

#[test]
fn handlers_give_results_and_errors() {
    let runtime = runtime();
    for (name, expected) in [
        ("nothing", Ok(None)),
        ("text", Ok(Some("returned"))),
        ("set", Ok(Some("set"))),
        ("both", Ok(Some("returned"))),
        ("long", Err("the result has 4001 bytes; at most 4000 are kept")),
        ("io", Err("no disk")),
        ("panics", Err("the handler panicked: async went wrong")),
        ("panics-blocking", Err("the handler panicked: blocking went wrong")),
        ("thread", Ok(Some("job thread"))),
    ] {
        let starts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&starts);
        let context = TestContext::new().build().context;
        let got = runtime.block_on(async {
            let started = move || {
                counted.fetch_add(1, Ordering::SeqCst);
            };
            jobs().call(name, context, &Handle::current(), started).await
        });
        let got = got.map_err(|error| error.to_string());
        assert_eq!(got, expected.map(|r| r.map(str::to_owned)).map_err(str::to_owned), "{name}");
        assert_eq!(starts.load(Ordering::SeqCst), 1, "{name}");
    }
}

#[test]
fn an_unknown_handler_is_an_error_that_names_the_known_ones() {
    let jobs = Jobs::new().register("a", |_: Context| async { Ok::<_, JobError>(()) });
    let context = TestContext::new().build().context;
    let got =
        runtime().block_on(async { jobs.call("b", context, &Handle::current(), || ()).await });
    let text = got.unwrap_err().to_string();
    assert_eq!(text, r#"no handler `b` is registered, only ["a"]"#);
}

#[test]
fn cancelling_reaches_async_and_blocking_code() {
    let test = TestContext::new().build();
    assert!(!test.context.is_cancelled());
    let (context, canceller) = (test.context, test.canceller);
    runtime().block_on(async {
        let waiter = tokio::spawn({
            let context = context.clone();
            async move {
                context.cancelled().await;
            }
        });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        canceller.cancel();
        waiter.await.unwrap();
    });
    assert!(context.is_cancelled());
}

#[test]
#[should_panic(expected = "`a` is registered twice")]
fn a_name_cannot_be_taken_twice() {
    let nothing = |_: Context| async { Ok::<_, JobError>(()) };
    let _ = Jobs::new().register("a", nothing).register("a", nothing);
}
