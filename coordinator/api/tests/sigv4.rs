//! Signatures against AWS's published test suite and against botocore's own signer.

use hearth_api::sigv4::{Presented, SignatureError, Signer, sha256_hex};
use hearth_types::Timestamp;
use http::request::Parts;
use std::io::Write;
use std::process::{Command, Stdio};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2015-08-30T12:36:00Z, the suite's moment.
const NOW: Timestamp = Timestamp::from_millis(1_440_938_160_000);
const MINUTE: i64 = 60_000;

fn parts(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut builder = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("request").into_parts().0
}

fn suite(method: &str, target: &str, extra: &[(&str, &str)], signed: &str, signature: &str) -> Parts {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20150830/us-east-1/service/aws4_request, SignedHeaders={signed}, \
         Signature={signature}"
    );
    let mut headers = vec![
        ("host", "example.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
        ("authorization", authorization.as_str()),
    ];
    headers.extend_from_slice(extra);
    parts(method, target, &headers)
}

fn later(minutes: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + minutes * MINUTE)
}

fn vanilla() -> Parts {
    let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    suite("GET", "/", &[], "host;x-amz-date", signature)
}

#[test]
fn the_published_suite_verifies() {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let cases = [
        (vanilla(), ""),
        (
            suite(
                "POST",
                "/",
                &[],
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            "",
        ),
        (
            suite(
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            "",
        ),
        (
            suite(
                "GET",
                "/?%E1%88%B4=bar",
                &[],
                "host;x-amz-date",
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            "",
        ),
        (
            suite(
                "POST",
                "/",
                &form,
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            "Param1=value1",
        ),
        (
            suite(
                "GET",
                "/",
                &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
                "host;my-header1;x-amz-date",
                "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ),
            "",
        ),
        (
            suite(
                "GET",
                "/",
                &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
                "host;my-header1;my-header2;x-amz-date",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            "",
        ),
    ];
    for (parts, body) in cases {
        let presented = Presented::read(&parts).expect("readable");
        assert_eq!(presented.access_key_id, KEY);
        let verdict = presented.verify(&parts, &sha256_hex(body.as_bytes()), SECRET, NOW);
        assert_eq!(verdict, Ok(()), "{} {}", parts.method, parts.uri);
    }
}

#[test]
fn any_change_is_a_mismatch_that_shows_the_canonical_string() {
    let empty = sha256_hex(b"");
    let mut moved = vanilla();
    moved.uri = "/other".parse().expect("uri");
    let mut hosted = vanilla();
    hosted.headers.insert("host", "evil.example".parse().expect("value"));
    let cases = [
        (vanilla(), sha256_hex(b"x"), SECRET),
        (vanilla(), empty.clone(), "another secret"),
        (moved, empty.clone(), SECRET),
        (hosted, empty.clone(), SECRET),
    ];
    for (parts, payload, secret) in cases {
        let error =
            Presented::read(&parts).expect("readable").verify(&parts, &payload, secret, NOW).unwrap_err();
        assert_eq!((error.json_code(), error.status().as_u16()), ("InvalidSignatureException", 403));
        assert_eq!(error.query_code(), "SignatureDoesNotMatch");
        let text = error.to_string();
        assert!(text.contains("The Canonical String for this request should have been\n'GET\n/"), "{text}");
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn skew_is_told_with_both_times() {
    let verify = |now| {
        let parts = vanilla();
        Presented::read(&parts).expect("readable").verify(&parts, &sha256_hex(b""), SECRET, now)
    };
    assert_eq!(verify(later(15)), Ok(()));
    assert_eq!(verify(later(-15)), Ok(()));
    assert_eq!(
        verify(later(16)).unwrap_err().to_string(),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123700Z (20150830T125200Z - 15 min.)"
    );
    assert_eq!(
        verify(later(-16)).unwrap_err().to_string(),
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z (20150830T122000Z + 15 min.)"
    );
}

#[test]
fn an_incomplete_signature_says_what_it_lacks() {
    let scope = "AKID/20150830/us-east-1/service/aws4_request";
    let date = ("x-amz-date", "20150830T123600Z");
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[], "Missing Authentication Token"),
        (&[("authorization", "Bearer x")], "Unsupported AWS 'algorithm': 'Bearer'"),
        (
            &[("authorization", "AWS4-HMAC-SHA256 x"), date],
            "requires 'Credential' parameter. Authorization header",
        ),
        (
            &[(
                "authorization",
                &format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"),
            )],
            "either a 'X-Amz-Date' or a 'Date' header",
        ),
        (
            &[
                ("authorization", "AWS4-HMAC-SHA256 Credential=AKID/x, SignedHeaders=host, Signature=00"),
                date,
            ],
            "exactly 5 slash-delimited elements",
        ),
        (
            &[
                (
                    "authorization",
                    &format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=x-amz-date, Signature=00"),
                ),
                date,
            ],
            "must be a 'SignedHeader'",
        ),
        (
            &[
                (
                    "authorization",
                    &format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"),
                ),
                date,
                ("x-amz-security-token", "unsigned"),
            ],
            "'X-Amz-Security-Token' must be a 'SignedHeader'",
        ),
        (
            &[
                (
                    "authorization",
                    &format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"),
                ),
                ("x-amz-date", "yesterday"),
            ],
            "Got 'yesterday'",
        ),
    ];
    for (headers, expected) in cases {
        let error = Presented::read(&parts("GET", "/", headers)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error} lacks {expected}");
    }
    let both = parts("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256", &[("authorization", "AWS4-HMAC-SHA256 x")]);
    assert!(matches!(Presented::read(&both), Err(SignatureError::Incomplete(_))));
}

#[test]
fn a_scope_of_another_day_is_refused() {
    let mut parts = vanilla();
    let header = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20150829/us-east-1/service/aws4_request, SignedHeaders=host, Signature=00"
    );
    parts.headers.insert("authorization", header.parse().expect("value"));
    let error = Presented::read(&parts).expect("readable").verify(&parts, "", SECRET, NOW).unwrap_err();
    assert!(error.to_string().contains("'20150829' != '20150830', from '20150830T123600Z'"), "{error}");
}

/// The presigned example of S3's documentation.
#[test]
fn a_presigned_request_holds_as_long_as_it_says() {
    let mut parts = parts(
        "GET",
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3\
         %2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
         aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        &[("host", "examplebucket.s3.amazonaws.com")],
    );
    let signed_at = 1_369_353_600_000;
    let verify = |parts: &Parts, seconds: i64| {
        let now = Timestamp::from_millis(signed_at + seconds * 1000);
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        Presented::read(parts).expect("readable").verify(parts, "UNSIGNED-PAYLOAD", secret, now)
    };
    assert_eq!(verify(&parts, 86_400), Ok(()));
    assert_eq!(
        verify(&parts, 86_401).unwrap_err().to_string(),
        "Signature expired: 20130525T000001Z is later than 20130525T000000Z (20130524T000000Z + 86400 s)."
    );
    assert!(matches!(verify(&parts, -901), Err(SignatureError::NotYetCurrent { .. })));
    let longer = parts.uri.to_string().replace("86400", "86401");
    parts.uri = longer.parse().expect("uri");
    assert!(matches!(verify(&parts, 0), Err(SignatureError::Mismatch { .. })));
    let unlimited = parts.uri.to_string().replace("86401", "604801");
    parts.uri = unlimited.parse().expect("uri");
    assert!(matches!(Presented::read(&parts), Err(SignatureError::Incomplete(_))));
}

#[test]
fn what_we_sign_verifies() {
    for (service, target) in
        [("emr-serverless", "http://localhost:8420/tags/arn%3Aaws?b=%C3%A4&a"), ("s3", "http://h/b/a//b%20c")]
    {
        let mut parts = parts("POST", target, &[("content-type", "application/json")]);
        let signer = Signer {
            access_key_id: KEY,
            secret_access_key: SECRET,
            session_token: Some("token=="),
            region: "us-east-1",
            service,
        };
        let payload = sha256_hex(b"{}");
        signer.sign(&mut parts, &payload, NOW).expect("signable");
        let presented = Presented::read(&parts).expect("readable");
        assert_eq!(presented.session_token.as_deref(), Some("token=="));
        assert_eq!(presented.verify(&parts, &payload, SECRET, NOW), Ok(()), "{service}");
    }
}

/// Signs the requests given on standard input with botocore, in headers and presigned.
const BOTOCORE: &str = r#"
import sys, json
try:
    from botocore.auth import SigV4Auth, SigV4QueryAuth, S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    print("absent"); sys.exit()
out = []
for case in json.load(sys.stdin):
    for placement in ("header", "query"):
        creds = Credentials(case["key"], case["secret"], case.get("token"))
        service = case["service"]
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth) if placement == "header" else SigV4QueryAuth
        if placement == "query" and service == "s3":
            continue
        body = case["body"].encode() if placement == "header" else b""
        request = AWSRequest(method=case["method"], url=case["url"], data=body, headers=dict(case["headers"]))
        signer(creds, service, "eu-west-1").add_auth(request)
        prepared = request.prepare()
        out.append({"method": prepared.method, "url": prepared.url, "body": body.decode(),
                    "headers": [[k, v if isinstance(v, str) else v.decode()] for k, v in prepared.headers.items()]})
print(json.dumps(out))
"#;

#[test]
fn what_botocore_signs_verifies() {
    let case = |service: &str, method: &str, url: &str, body: &str, token: Option<&str>| {
        serde_json::json!({"key": KEY, "secret": SECRET, "token": token, "service": service, "method": method,
            "url": url, "body": body, "headers": [["X-Custom", "a   b "], ["Content-Type", "application/json"]]})
    };
    let host = "http://127.0.0.1:8420";
    let cases = serde_json::json!([
        case("emr-serverless", "GET", &format!("{host}/applications"), "", None),
        case(
            "emr-serverless",
            "GET",
            &format!(
                "{host}/applications/00f/jobruns?states=RUNNING&states=FAILED&createdAtAfter=2026-01-01T00%3A00%3A00Z"
            ),
            "",
            None
        ),
        case(
            "emr-serverless",
            "POST",
            &format!("{host}/applications"),
            "{\"name\":\"ä ሴ\"}",
            Some("tok/en+==")
        ),
        case(
            "emr-serverless",
            "GET",
            &format!(
                "{host}/tags/arn%3Aaws%3Aemr-serverless%3Aus-east-1%3A000000000000%3A%2Fapplications%2F00f"
            ),
            "",
            None
        ),
        case("iam", "POST", &format!("{host}/"), "Action=ListRoles&Version=2010-05-08", None),
        case("s3", "PUT", &format!("{host}/bucket/a%20b//%C3%A4~%2B.txt"), "content", Some("t")),
    ]);
    let mut python = match Command::new("python3")
        .args(["-c", BOTOCORE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    {
        Ok(python) => python,
        Err(_) => return eprintln!("skipped: python3 is absent"),
    };
    python.stdin.take().expect("piped").write_all(cases.to_string().as_bytes()).expect("written");
    let output = python.wait_with_output().expect("finished").stdout;
    if output.starts_with(b"absent") {
        return eprintln!("skipped: botocore is absent");
    }
    let signed: Vec<serde_json::Value> = serde_json::from_slice(&output).expect("json");
    assert_eq!(signed.len(), 11);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = Timestamp::from_millis(i64::try_from(now.as_millis()).expect("this century"));
    for request in &signed {
        let text = |name: &str| request[name].as_str().expect("text").to_owned();
        let mut builder = http::Request::builder().method(text("method").as_str()).uri(text("url"));
        for header in request["headers"].as_array().expect("list") {
            builder = builder.header(header[0].as_str().expect("name"), header[1].as_str().expect("value"));
        }
        let mut parts = builder.body(()).expect("request").into_parts().0;
        parts.headers.entry("host").or_insert("127.0.0.1:8420".parse().expect("value"));
        let presented = Presented::read(&parts).expect("readable");
        let verdict = presented.verify(&parts, &sha256_hex(text("body").as_bytes()), SECRET, now);
        assert_eq!(verdict, Ok(()), "{request}");
    }
}
