//! How long what a framework has declined stays away.

use muster_api::clock;
use serde_json::{Value, json};

use super::offers::no_offers;
use crate::{
    case::{Case, case},
    context::Context,
    framework::{Framework, Offer},
    outcome::{Outcome, differs, holds},
};

/// How long an offer stays away that is declined without a word, in seconds.
const DEFAULT_REFUSAL: f64 = 5.0;

pub(super) const CASES: &[Case] = &[
    case!(Offers, Json, "offers/a-declined-one-stays-away-for-its-time", decline_three_seconds),
    case!(Offers, Json, "offers/a-declined-one-stays-away-for-5-seconds-else", decline_default),
    case!(Offers, Json, "offers/a-declined-one-comes-back-at-once-at-0", decline_zero),
    case!(Offers, Json, "offers/revive-clears-filters", revive_clears_filters),
];

/// How long it takes until the agent of an offer that is declined is offered anew. It is reckoned
/// from before the call: it is no less than the time of the filter, however late the answer is.
async fn time_away(framework: &Framework, offer: &Offer, filters: Value) -> Outcome<f64> {
    let since = clock::mono();
    let mut body = json!({"offer_ids": [{"value": offer.id}]});
    if !filters.is_null() {
        body["filters"] = filters;
    }
    framework.tell("DECLINE", body).await?;
    while framework.offer().await?.agent != offer.agent {}
    Ok(clock::mono().since(since).as_secs_f64())
}

/// Holds if it stays away for so many seconds at least. When it comes is a matter of the machine.
async fn stays_away(framework: &Framework, filters: Value, seconds: f64) -> Outcome {
    let offer = framework.steady_offer().await?;
    let took = time_away(framework, &offer, filters).await?;
    let expected = format!("{seconds} s and more");
    holds("time until it comes back", took >= seconds, &json!(took), &expected)
}

async fn decline_three_seconds(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    stays_away(&framework, json!({"refuse_seconds": 3.0}), 3.0).await
}

async fn decline_default(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    stays_away(&framework, Value::Null, DEFAULT_REFUSAL).await
}

/// Sooner than one that is declined without a word. A machine may be late now and then, not always.
async fn decline_zero(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    let mut took = 0.0;
    for _ in 0..5 {
        let offer = framework.offer().await?;
        took = time_away(&framework, &offer, json!({"refuse_seconds": 0.0})).await?;
        if took < DEFAULT_REFUSAL {
            return Ok(());
        }
    }
    Err(differs("time until it comes back, at the fifth attempt", &json!(took), "less than 5 s"))
}

async fn revive_clears_filters(context: &Context) -> Outcome {
    let framework = Framework::subscribe(context).await?;
    // More than was declined would be offered in spite of it.
    let offer = framework.steady_offer().await?;
    framework.decline(&offer, 3600.0).await?;
    no_offers(&framework, 2.0).await?;
    framework.tell_only("REVIVE").await?;
    framework.offer().await?;
    Ok(())
}
