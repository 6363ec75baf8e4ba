//! The digest that tells a repeated request from another one under the same client token (promise P2).

use super::{CreateApplicationRequest, StartJobRunRequest, UpdateApplicationRequest};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

macro_rules! payload_digest {
    ($($request:ty),+) => {$(
        impl $request {
            /// SHA-256 (lower-case hex) of what was asked for: the members given, in sorted order, without the
            /// client token. Equal digests mean the same request whatever the order of its JSON members.
            pub fn payload_digest(&self) -> String {
                digest(self)
            }
        }
    )+};
}
payload_digest!(CreateApplicationRequest, StartJobRunRequest, UpdateApplicationRequest);

fn digest(request: &impl Serialize) -> String {
    let mut value = serde_json::to_value(request).expect("wire structures are JSON");
    if let Value::Object(members) = &mut value {
        members.remove("clientToken");
    }
    value.sort_all_objects();
    hex::encode(Sha256::digest(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> StartJobRunRequest {
        serde_json::from_str(json).expect("valid request")
    }

    #[test]
    fn order_and_token_do_not_matter_and_everything_else_does() {
        let one = request(
            r#"{"applicationId":"a","clientToken":"1","executionRoleArn":"r","tags":{"a":"1","b":"2"},"name":"n"}"#,
        );
        let same = request(
            r#"{"name":"n","tags":{"b":"2","a":"1"},"executionRoleArn":"r","clientToken":"2","applicationId":"a"}"#,
        );
        let other = request(
            r#"{"applicationId":"a","clientToken":"1","executionRoleArn":"r","tags":{"a":"1","b":"3"},"name":"n"}"#,
        );
        assert_eq!(one.payload_digest(), same.payload_digest());
        assert_ne!(one.payload_digest(), other.payload_digest());
    }
}
