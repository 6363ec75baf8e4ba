//! Interactive sessions: every operation on them is checked, authorised and answered, but there is no engine for them yet,
//! so none is ever started and none is ever found.

use super::control_plane::TaggedResource;
use super::exception::Exception;
use super::operation::Operation;
use super::service::{Call, typed};
use hearth_types::ApplicationId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionInput {
    application_id: ApplicationId,
    session_id: Option<String>,
    resource_id: Option<String>,
    execution_role_arn: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

impl Call<'_> {
    /// Carries out an operation on sessions; the application must exist whatever is asked of it.
    pub(super) async fn carry_out_on_sessions(
        &self,
        operation: Operation,
        input: Value,
    ) -> Result<Value, Exception> {
        let of: SessionInput = typed(input.clone())?;
        let id = &of.application_id;
        match of.session_id.or(of.resource_id) {
            Some(session) => {
                let application = self.arn(Some(&TaggedResource::Application(id.clone())));
                let action = format!("emr-serverless:{}", operation.name());
                let resource = format!("{application}/sessions/{session}");
                self.identity.authorize(self.principal, &action, &resource, &self.context)?;
                self.control.get_application(id).await?;
                Err(Exception::not_found(format!("Session {session} does not exist.")))
            }
            None if operation == Operation::StartSession => {
                self.authorize_application(operation, id, of.tags.as_ref()).await?;
                if let Some(role) = of.execution_role_arn {
                    self.authorize_pass_role(&role)?;
                }
                self.control.get_application(id).await?;
                Err(Exception::validation(
                    "This version has no interactive engine, so no session can be started. Use StartJobRun.",
                ))
            }
            None => {
                self.authorize_application(operation, id, None).await?;
                self.control.get_application(id).await?;
                self.page(operation, input)?;
                Ok(json!({ "sessions": [] }))
            }
        }
    }
}
