//! Close a report that has come to the operators.

use actix_web::web::{Data, Path};

use crate::domain::{MessageId, RoomId};
use crate::services::reports;
use crate::web::answers::see_other;
use crate::web::error::PageResult;
use crate::web::forms::EmptyForm;
use crate::web::operator::{OperatorForm, actor};
use crate::web::state::WebState;

/// Closes the report. **Who:** operators, except for reports of their own messages. **Answers:** 303 to the reports, even
/// if there is no such report; or 429.
pub async fn submit(
    state: Data<WebState>,
    address: Path<(RoomId, MessageId)>,
    sent: OperatorForm<EmptyForm>,
) -> PageResult {
    let operator = &sent.operator;
    state.core.limits.change(operator.user_id).await?;
    reports::close_for_operators(&state.core, actor(operator), *address).await?;
    Ok(see_other("/site/reports?done=closed"))
}
