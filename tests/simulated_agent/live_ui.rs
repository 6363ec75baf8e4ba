//! The live UI of a running job run: a link, a login, pages that come through the agent, and what is said when there are none.

use crate::harness::{Cluster, Job};
use crate::host::{Host, Running};
use hearth_proto::v1::{self, ui_answer};
use http::{Method, StatusCode};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, Url};
use tokio::task::AbortHandle;

/// A browser that follows no redirects and keeps no cookies, so that a test sees and says all of them.
struct Browser {
    client: Client,
    /// Where live UIs are served, under whatever name.
    port: u16,
}

impl Browser {
    fn of(cluster: &Cluster) -> Self {
        let port = cluster.coordinator().ui.expect("live UIs are shown").port();
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { client: client.build().expect("a client"), port }
    }

    async fn send(&self, method: Method, url: &Url, cookie: &str) -> Response {
        let mut here = url.clone();
        here.set_host(Some("127.0.0.1")).expect("a host");
        here.set_port(Some(self.port)).expect("a port");
        let host = url.host_str().expect("a name").to_owned();
        let request = self.client.request(method, here).header("host", host).header(COOKIE, cookie);
        request.send().await.expect("an answer")
    }

    async fn get(&self, url: &Url, cookie: &str) -> Response {
        self.send(Method::GET, url, cookie).await
    }

    /// Uses a link; answers the cookie of its login.
    async fn log_in(&self, link: &Url) -> String {
        let entered = self.get(link, "").await;
        assert_eq!(
            (entered.status(), &entered.headers()[LOCATION]),
            (StatusCode::SEE_OTHER, &"/".parse().expect("a value"))
        );
        let set = entered.headers()[SET_COOKIE].to_str().expect("a cookie").to_owned();
        assert!(
            set.contains("; HttpOnly") && set.contains("; SameSite=Lax") && !set.contains("Domain"),
            "{set}"
        );
        set.split_once(';').expect("attributes").0.to_owned()
    }
}

async fn link(cluster: &Cluster, job: &Job) -> Url {
    let path = format!("/applications/{}/jobruns/{}/dashboard", job.application, job.run);
    let answer = cluster.administrator().emr(Method::GET, &path, None).await.json();
    answer["url"].as_str().expect("a URL").parse().expect("a URL")
}

/// A path under the origin that a link leads to.
fn at(link: &Url, path: &str) -> Url {
    link.join(path).expect("a URL")
}

async fn says(response: Response, status: u16, text: &str) {
    let headers = response.headers().clone();
    assert_guarded(&headers);
    let got = response.status();
    let body = response.text().await.expect("a body");
    assert!(got == status && body.contains(text), "{status} {text}: {got} {body}");
}

fn assert_guarded(headers: &HeaderMap) {
    let policy = headers["content-security-policy"].to_str().expect("a policy");
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
}

/// An agent that passes requests on, to UIs that say who is asked for what. Dropping it ends that.
struct PassesOn(AbortHandle);

impl Drop for PassesOn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl PassesOn {
    async fn on(cluster: &Cluster, host: &Host) -> Self {
        let mut client = host.client(cluster).await;
        let waits = client.await_ui_requests(v1::AwaitUiRequestsRequest {}).await.expect("it may wait");
        let mut requests = waits.into_inner();
        let serving = async move {
            while let Ok(Some(request)) = requests.message().await {
                let header =
                    |name: &str, value: &str| v1::UiHeader { name: name.into(), value: value.into() };
                let told = request
                    .headers
                    .iter()
                    .map(|header| format!("{}={}", header.name, String::from_utf8_lossy(&header.value)));
                let told: Vec<_> = told.collect();
                let page = format!(
                    "{} {} of {} {}",
                    request.method,
                    request.target,
                    request.worker_id,
                    told.join(" ")
                );
                let headers = vec![
                    header("content-type", "text/html"),
                    header("set-cookie", "hearth-ui=planted"),
                    header("location", "http://10.0.0.7:4040/elsewhere"),
                ];
                let id = request.id;
                let head = ui_answer::Part::Head(v1::UiHead { status: 200, headers });
                let mut parts = vec![head, ui_answer::Part::Body(page.into_bytes())];
                if request.target == "/breaks" {
                    parts.push(ui_answer::Part::Failure("it broke off".to_owned()));
                }
                let parts = parts.into_iter().map(move |part| v1::UiAnswer { id, part: Some(part) });
                drop(client.answer_ui_request(tokio_stream::iter(parts.collect::<Vec<_>>())).await);
            }
        };
        Self(tokio::spawn(serving).abort_handle())
    }
}

/// A job run whose driver has said where its UI is.
async fn registered(cluster: &Cluster) -> Running {
    let running = Running::on(cluster).await;
    running.stream.say(running.driver.registers()).await;
    running.stream.settled().await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_once_and_its_login_reads_the_ui_of_that_job_run_alone() {
    let cluster = Cluster::start().await;
    let browser = Browser::of(&cluster);
    let (one, other) = (registered(&cluster).await, registered(&cluster).await);
    let _pass_on = [PassesOn::on(&cluster, &one.host).await, PassesOn::on(&cluster, &other.host).await];
    let (here, there) = (link(&cluster, &one.job).await, link(&cluster, &other.job).await);
    assert_eq!(here.host_str(), Some(format!("{}-1.ui.localhost", one.job.run).as_str()));

    // Programs that show previews look at links first.
    says(browser.send(Method::HEAD, &here, "").await, 403, "").await;
    let of_there = format!("{}?{}", there.path(), there.query().expect("a secret"));
    says(browser.get(&at(&here, &of_there), "").await, 403, "not logged in").await;
    let (cookie, others) = (browser.log_in(&here).await, browser.log_in(&there).await);
    says(browser.get(&here, "").await, 403, "not logged in").await;
    assert_eq!(browser.get(&here, &cookie).await.status(), 303, "once more in the same browser");

    let page = browser.get(&at(&here, "/jobs/?id=1"), &format!("a=b; {cookie}")).await;
    assert_guarded(page.headers());
    assert_eq!(page.headers().get(SET_COOKIE), None);
    assert_eq!(page.headers()[LOCATION], "/elsewhere");
    let body = page.text().await.expect("a body");
    let host = here.host_str().expect("a name");
    assert!(body.starts_with(&format!("GET /jobs/?id=1 of {} host={host}", one.driver.id)), "{body}");
    assert!(!body.contains("hearth-ui"), "{body}");
    let broken = browser.get(&at(&here, "/breaks"), &cookie).await;
    assert!(broken.text().await.is_err(), "half a page is not taken for a whole one");

    for stranger in ["", "hearth-ui=0123", "hearth-ui", &cookie[..cookie.len() - 1], &others] {
        says(browser.get(&at(&here, "/jobs/"), stranger).await, 403, "not logged in").await;
    }
    for method in [Method::POST, Method::PUT, Method::OPTIONS] {
        says(browser.send(method, &at(&here, "/jobs/job/kill/?id=1"), &cookie).await, 405, "").await;
    }
    for foreign in ["http://ui.localhost/jobs/", "http://127.0.0.1/jobs/", "http://evil.example/jobs/"] {
        says(browser.get(&foreign.parse().expect("a URL"), &cookie).await, 421, "ui_url").await;
    }
}

/// Airflow's link to a driver's standard output is made like this, while the job runs too.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_whose_path_was_put_in_the_place_of_the_uis_leads_to_that_log() {
    let cluster = Cluster::start().await;
    let browser = Browser::of(&cluster);
    let Running { stream, job, driver, host: _host } = registered(&cluster).await;
    let to_log = |link: &Url| {
        let mut link = link.clone();
        link.set_path("/logs/SPARK_DRIVER/stdout.gz");
        link
    };
    let early = link(&cluster, &job).await;
    says(browser.send(Method::HEAD, &to_log(&early), "").await, 403, "").await;
    says(browser.get(&to_log(&early), "").await, 404, "every few seconds").await;

    let delivered =
        format!("hearth-managed/applications/{}/jobs/{}/SPARK_DRIVER/stdout.gz", job.application, job.run);
    assert_eq!(cluster.administrator().put_object(&delivered, "so far").await.status, 200);
    let log = to_log(&link(&cluster, &job).await);
    let file = browser.get(&log, "").await;
    assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"stdout.gz\"");
    says(file, 200, "so far").await;
    says(browser.get(&log, "").await, 403, "not logged in").await;

    let link = link(&cluster, &job).await;
    let cookie = browser.log_in(&link).await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    says(browser.get(&to_log(&link), &cookie).await, 200, "so far").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_agent_or_after_its_end_a_ui_is_replaced_by_what_there_is() {
    let cluster = Cluster::start().await;
    let browser = Browser::of(&cluster);
    let Running { host, stream, job, driver } = registered(&cluster).await;
    let link = link(&cluster, &job).await;
    let cookie = browser.log_in(&link).await;
    let page = at(&link, "/jobs/");
    says(browser.get(&page, &cookie).await, 503, "takes no requests").await;
    says(browser.get(&at(&link, "/.hearth/event-log"), &cookie).await, 303, "").await;
    let passes_on = PassesOn::on(&cluster, &host).await;
    says(browser.get(&page, &cookie).await, 200, &driver.id).await;

    drop((passes_on, stream));
    let is_gone = |agent: &hearth_types::AgentId| *agent == host.id;
    cluster
        .until("the agent is out of contact", |world| {
            world.agents().find(|agent| is_gone(&agent.id)).filter(|agent| !agent.is_in_contact()).map(|_| ())
        })
        .await;
    let gone = browser.get(&page, &cookie).await;
    assert_eq!(gone.headers()["retry-after"], "5");
    says(gone, 503, "out of contact").await;

    let stream = host.attach(&cluster, vec![driver.report(crate::worker::running())]).await;
    let _passes_on = PassesOn::on(&cluster, &host).await;
    says(browser.get(&page, &cookie).await, 200, &driver.id).await;

    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    says(browser.get(&page, &cookie).await, 410, "neither an event log").await;
    let log = format!("hearth-managed/applications/{}/jobs/{}/sparklogs/app-1", job.application, job.run);
    assert_eq!(cluster.administrator().put_object(&log, "{\"Event\":\"x\"}\n").await.status, 200);
    says(browser.get(&page, &cookie).await, 410, "state SUCCESS").await;
    let ended = browser.get(&page, &cookie).await.text().await.expect("a body");
    let (_, href) = ended.split_once("href=\"").expect("a link");
    let (path, _) = href.split_once('"').expect("its end");
    for _ in 0..2 {
        let file = browser.get(&at(&link, path), &cookie).await;
        assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"app-1\"");
        says(file, 200, "{\"Event\":\"x\"}").await;
    }
    says(browser.get(&at(&link, path), "").await, 403, "not logged in").await;
}
