//! Wrong requests out of right ones.

use super::judge::Said;
use super::seeds::Seed;
use crate::requests::Endpoint;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

/// Bodies of more than this are refused, perhaps before they are read to their end; heads of requests much earlier.
const LARGEST_BODY: usize = 1 << 20;
const LARGEST_HEAD: usize = 8 << 10;

/// Texts that are wrong nearly everywhere, or only just right.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "-",
    ".",
    "..",
    "/",
    "//",
    "%",
    "%00",
    "%zz",
    "\0",
    "\n",
    "\r\n",
    "'",
    "\"",
    "\\",
    "&",
    "=",
    "+",
    "ä",
    "😀",
    "\u{202e}",
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e999",
    "99999999999999999999",
    "9223372036854775807",
    "2147483648",
    "NaN",
    "../../etc/passwd",
    "s3://",
    "s3://b",
    "s3a://b/k",
    "https://x",
    "arn:",
    "arn:aws:iam::000000000000:role/none",
    "arn:aws:emr-serverless:us-east-1:000000000000:/applications/none",
    "${aws:username}",
    "{{x}}",
    "0 vCPU",
    "-4 vCPU",
    "1000000000000000000 GB",
    "4.5GB",
    "4 vcpu",
    "emr-0.0.0",
    "emr-7.6.0",
    "SPARK",
    "HIVE",
    "QUEUED",
    "1969-12-31T23:59:59Z",
    "10000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "--conf",
    "--conf a",
    "'unfinished",
    "--class",
    "spark.executor.cores=x",
];

/// What is sent.
pub(crate) enum Mutated {
    Http {
        request: Request<Full<Bytes>>,
        said: Said,
        /// Whether the server may hang up before it has read all of it.
        may_be_cut: bool,
    },
    Bytes(Vec<u8>),
}

/// What a seed has become so far.
struct Draft {
    service: &'static str,
    method: Method,
    path: String,
    members: Vec<(String, String)>,
    body: Option<Value>,
    headers: Vec<(String, Vec<u8>)>,
}

/// A seed, changed up to four times, and signed as a client would sign just that; some signatures are spoilt after.
pub(crate) fn mutated(endpoint: &Endpoint, seeds: &[Seed], random: &mut StdRng) -> anyhow::Result<Mutated> {
    let seed = seeds.choose(random).expect("there are seeds");
    let mut draft = Draft {
        service: seed.service,
        method: seed.method.clone(),
        path: seed.path.clone(),
        members: seed.members.clone(),
        body: seed.body.clone(),
        headers: Vec::new(),
    };
    for _ in 0..random.random_range(0..4) {
        change(&mut draft, random);
    }
    let is_form = matches!(draft.service, "iam" | "sts");
    let (mut target, mut body) =
        (draft.path, draft.body.map(|body| body.to_string()).unwrap_or_default().into_bytes());
    if is_form {
        body = encoded(&draft.members).into_bytes();
    } else if !draft.members.is_empty() {
        target = format!("{target}?{}", encoded(&draft.members));
    }
    if random.random_bool(0.1) {
        spoil(&mut body, random);
    }
    let text = format!("{} {target} {}", draft.method, String::from_utf8_lossy(&body));
    let Ok(request) = Request::builder().method(draft.method).uri(&target).body(()) else {
        return Ok(Mutated::Bytes(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes()));
    };
    if random.random_bool(0.02) {
        let head = format!("{} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n", request.method());
        let mut bytes = [head.as_bytes(), text.as_bytes()].concat();
        spoil(&mut bytes, random);
        return Ok(Mutated::Bytes(bytes));
    }
    let (mut parts, ()) = request.into_parts();
    let form = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
    for (name, value) in draft.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), HeaderValue::from_bytes(&value)) {
            parts.headers.append(name, value);
        }
    }
    endpoint.sign_parts(&mut parts, draft.service, &body)?;
    let is_spoilt = random.random_bool(0.05);
    if is_spoilt {
        spoil_signature(&mut parts.headers, random);
    }
    let head = target.len()
        + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let may_be_cut = head > LARGEST_HEAD || body.len() > LARGEST_BODY;
    let said = Said { service: draft.service, text: text.chars().take(3000).collect(), is_spoilt };
    Ok(Mutated::Http { request: Request::from_parts(parts, Full::new(Bytes::from(body))), said, may_be_cut })
}

fn change(draft: &mut Draft, random: &mut StdRng) {
    match random.random_range(0..10) {
        0 => {
            let methods = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "FUZZ"];
            draft.method = methods.choose(random).expect("some").parse().expect("a method");
        }
        1 => draft.path = other_path(&draft.path, random),
        2..5 if !draft.members.is_empty() => change_members(&mut draft.members, random),
        5 => draft.headers.push(header(random)),
        6 => {
            let members = random.random_range(1..200);
            draft.headers.extend((0..members).map(|number| (format!("x-fuzz-{number}"), b"v".to_vec())));
        }
        _ => match &mut draft.body {
            Some(body) => change_node(body, random),
            None if random.random_bool(0.3) => draft.body = Some(odd_value(random)),
            None => draft.members.push((odd_text(random), odd_text(random))),
        },
    }
}

fn other_path(path: &str, random: &mut StdRng) -> String {
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    let at = random.random_range(0..segments.len());
    let odd = match random.random_range(0..3) {
        0 => odd_text(random),
        _ => encode(&odd_text(random)),
    };
    match random.random_range(0..3) {
        0 => segments[at] = odd,
        1 => segments.insert(at, odd),
        _ => drop(segments.remove(at)),
    }
    format!("/{}", segments.join("/").trim_start_matches('/'))
}

fn change_members(members: &mut Vec<(String, String)>, random: &mut StdRng) {
    let at = random.random_range(0..members.len());
    match random.random_range(0..5) {
        0 => drop(members.remove(at)),
        1 => members.push(members[at].clone()),
        2 => members[at].0 = odd_text(random),
        _ => members[at].1 = odd_text(random),
    }
}

/// Changes something within a value: goes down at random, and replaces, drops, adds or repeats where it stops.
fn change_node(value: &mut Value, random: &mut StdRng) {
    let goes_on = random.random_bool(0.8);
    match value {
        Value::Object(members) if goes_on && !members.is_empty() => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = names.choose(random).expect("not empty");
            match random.random_range(0..8) {
                0 => drop(members.remove(name)),
                1 => drop(members.insert(odd_text(random), odd_value(random))),
                2 => {
                    let moved = members.remove(name).expect("there");
                    members.insert(odd_text(random), moved);
                }
                _ => change_node(&mut members[name], random),
            }
        }
        Value::Array(items) if goes_on && !items.is_empty() => {
            let at = random.random_range(0..items.len());
            match random.random_range(0..4) {
                0 => drop(items.remove(at)),
                1 => {
                    let times = random.random_range(1..200);
                    let item = items[at].clone();
                    items.extend(std::iter::repeat_n(item, times));
                }
                _ => change_node(&mut items[at], random),
            }
        }
        _ => *value = odd_value(random),
    }
}

fn odd_value(random: &mut StdRng) -> Value {
    match random.random_range(0..12) {
        0 => Value::Null,
        1 => json!(random.random_bool(0.5)),
        2 => json!(i64::MIN),
        3 => json!(u64::MAX),
        4 => json!(1e300),
        5 => json!(random.random_range(-3..5000)),
        6 => json!([]),
        7 => json!({}),
        8 => {
            let depth = random.random_range(1..300);
            (0..depth).fold(
                Value::Null,
                |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) },
            )
        }
        9 => Value::Array(vec![json!("x"); random.random_range(0..3000)]),
        _ => Value::String(odd_text(random)),
    }
}

fn odd_text(random: &mut StdRng) -> String {
    match random.random_range(0..12) {
        0 => "x".repeat(random.random_range(1..100)),
        1 => "é".repeat(random.random_range(100..3000)),
        2 => (0..random.random_range(1..30)).map(|_| random.random::<char>()).collect(),
        _ => (*TEXTS.choose(random).expect("some")).to_owned(),
    }
}

fn header(random: &mut StdRng) -> (String, Vec<u8>) {
    let names = [
        "content-type",
        "content-encoding",
        "expect",
        "range",
        "if-none-match",
        "x-amz-date",
        "x-amz-content-sha256",
        "x-amz-security-token",
        "x-amz-target",
        "x-amz-copy-source",
        "x-forwarded-for",
        "accept-encoding",
        "content-md5",
        "x-amz-decoded-content-length",
        "x-amz-checksum-crc32",
        "x-amz-tagging",
        "x-http-method-override",
    ];
    let value = match random.random_range(0..4) {
        0 => vec![b'v'; random.random_range(0..20_000)],
        1 => (0..random.random_range(0..40)).map(|_| random.random()).collect(),
        _ => odd_text(random).into_bytes(),
    };
    ((*names.choose(random).expect("some")).to_owned(), value)
}

/// Cuts, turns over or adds bytes.
fn spoil(bytes: &mut Vec<u8>, random: &mut StdRng) {
    match random.random_range(0..5) {
        0 if !bytes.is_empty() => bytes.truncate(random.random_range(0..bytes.len())),
        1 if !bytes.is_empty() => {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        2 => bytes.extend((0..random.random_range(0..100)).map(|_| random.random::<u8>())),
        3 if random.random_bool(0.01) => {
            bytes.resize(random.random_range(LARGEST_BODY / 2..2 * LARGEST_BODY), b' ')
        }
        _ => bytes.insert(random.random_range(0..=bytes.len()), random.random()),
    }
}

fn spoil_signature(headers: &mut http::HeaderMap, random: &mut StdRng) {
    let Some(mut value) = headers.remove(AUTHORIZATION).map(|value| value.as_bytes().to_vec()) else {
        return;
    };
    match random.random_range(0..4) {
        0 => return,
        1 => drop(headers.remove("x-amz-date")),
        _ => spoil(&mut value, random),
    }
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(AUTHORIZATION, value);
    }
}

fn encoded(members: &[(String, String)]) -> String {
    let parts: Vec<String> =
        members.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    parts.join("&")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
