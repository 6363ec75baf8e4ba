//! Users besides the administrator.

use super::{Cluster, Keys};
use serde_json::Value;

impl Cluster {
    /// Keys of a new user with these statements as its policy.
    pub(crate) async fn user(&self, name: &str, statements: Value) -> Keys {
        let policy = serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        self.iam(&[("Action", "CreateUser"), ("UserName", name)]).await;
        self.iam(&[
            ("Action", "PutUserPolicy"),
            ("UserName", name),
            ("PolicyName", "only"),
            ("PolicyDocument", &policy),
        ])
        .await;
        let made = self.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]).await;
        let text = |element: &str| {
            let (_, rest) = made.split_once(&format!("<{element}>")).expect("is there");
            rest.split_once('<').expect("ends").0.to_owned()
        };
        Keys {
            access_key_id: text("AccessKeyId"),
            secret_access_key: text("SecretAccessKey"),
            session_token: None,
        }
    }

    /// What IAM answers the administrator; fails the test if it refuses.
    pub(crate) async fn iam(&self, parameters: &[(&str, &str)]) -> String {
        let answer =
            self.administrator().query("iam", &[parameters, &[("Version", "2010-05-08")]].concat()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}
