//! A master that authenticates frameworks.

use serde_json::{Value, json};

use crate::{
    case::{Case, case},
    context::{Context, SCHEDULER},
    encoding::Side,
    framework::Framework,
    http::Request,
    outcome::{Outcome, equal},
    target::Credentials,
    tasks::with,
};

pub(super) const CASES: &[Case] = &[
    case!(Credentials, Json, "credentials/none-are-refused", none),
    case!(Credentials, Json, "credentials/wrong-ones-are-refused", wrong),
    case!(Credentials, Json, "credentials/another-scheme-is-refused", bearer),
    case!(Credentials, Json, "credentials/come-before-all-other-checks", before_all),
    case!(Credentials, Json, "credentials/a-call-needs-them-too", call),
    case!(Credentials, Json, "credentials/the-principal-is-the-framework's", other_principal),
    case!(Credentials, Json, "credentials/the-principal-may-be-named", same_principal),
];

fn bare(context: &Context, call: &Value) -> Outcome<Request> {
    let body = context.encoding().encode_call(Side::Scheduler, call)?;
    let content_type = context.encoding().content_type();
    let request = Request::post(SCHEDULER, body).with("Content-Type", content_type);
    Ok(request.with("Accept", content_type))
}

fn subscribe(context: &Context) -> Value {
    json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": context.framework_info()}})
}

async fn refused(context: &Context, request: &Request) -> Outcome {
    let answer = context.ask_master(request).await?;
    let asked = answer.head.header("www-authenticate");
    equal("WWW-Authenticate", asked, "Basic realm=\"mesos-master-scheduler\"")?;
    answer.is(401, "401 Unauthorized.")
}

async fn none(context: &Context) -> Outcome {
    refused(context, &bare(context, &subscribe(context))?).await
}

async fn wrong(context: &Context) -> Outcome {
    let principal = principal(context);
    let wrong = Credentials { principal, secret: context.unique("wrong") };
    let request = bare(context, &subscribe(context))?;
    refused(context, &request.with("Authorization", &wrong.header())).await
}

async fn bearer(context: &Context) -> Outcome {
    let request = bare(context, &subscribe(context))?;
    refused(context, &request.with("Authorization", "Bearer abc")).await
}

async fn before_all(context: &Context) -> Outcome {
    refused(context, &Request::post(SCHEDULER, "no call at all")).await
}

async fn call(context: &Context) -> Outcome {
    let framework = Framework::subscribe_suppressed(context).await?;
    let request = bare(context, &framework.call("SUPPRESS", None))?;
    refused(context, &request.with("Mesos-Stream-Id", &framework.stream)).await
}

async fn other_principal(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "principal", json!("someone"));
    let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
    let text = format!(
        "Failed to validate scheduler::Call: Authenticated principal '{}' does not match \
         principal 'someone' set in `FrameworkInfo`",
        principal(context)
    );
    context.ask_master(&context.scheduler_request(&call)?).await?.is(400, &text)
}

async fn same_principal(context: &Context) -> Outcome {
    let info = with(context.framework_info(), "principal", json!(principal(context)));
    Framework::suppressed_as(context, info).await?;
    Ok(())
}

fn principal(context: &Context) -> String {
    let credentials = context.target().credentials.as_ref();
    credentials.map(|credentials| credentials.principal.clone()).unwrap_or_default()
}
