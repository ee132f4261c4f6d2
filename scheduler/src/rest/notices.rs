//! Notices that wait to be delivered.

use axum::{Json, extract::State};
use muster_api::{limits, notices::NoticeView, views::Page};
use muster_engine::query::{Answer, Query};

use super::{
    Rest,
    input::Params,
    page::{PageParams, decode_cursor, encode_cursor, page_rows},
    problem::Refusal,
};

/// What waits, the oldest first, with what became of the tries so far. The place of a row is its
/// number in this order, which changes as notices are delivered.
pub(super) async fn list(
    State(rest): State<Rest>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<NoticeView>>, Refusal> {
    let limit = page_rows(params.limit, limits::LIVE_ROWS)?;
    let skip = decode_cursor(params.cursor.as_deref(), |skip| skip.parse().ok())?.unwrap_or(0);
    let Answer::Notices(items) = rest.driver().query(Query::Notices { skip, limit }).await? else {
        return Err(Refusal::misunderstanding());
    };
    let next = (items.len() == limit).then(|| encode_cursor(skip + limit));
    Ok(Json(Page { items, next }))
}
