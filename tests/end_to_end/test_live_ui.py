"""A running job's own Spark UI, read as a browser reads it: through the URL that GetDashboardForJobRun gives."""

import http.client
import re
import textwrap
from urllib.parse import urljoin, urlsplit

SCRIPT = textwrap.dedent("""
    import sys, time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    spark.range(10).selectExpr("sum(id)").show()
    # Until the test has seen enough.
    path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(sys.argv[1])
    files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    while not files.exists(path):
        time.sleep(0.1)
    """)


class Browser:
    """Follows redirects and keeps the cookie. Names below `localhost` are this machine's, as browsers have it."""

    def __init__(self):
        self.cookie = None

    def get(self, url, method="GET"):
        """Status, headers, body, and the URL that they are of."""
        while True:
            parts = urlsplit(url)
            assert parts.hostname.endswith(".localhost"), url
            connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, headers={"Host": parts.netloc, **({"Cookie": self.cookie} if self.cookie else {})})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            if answer.getheader("Set-Cookie"):
                self.cookie = answer.getheader("Set-Cookie").split(";")[0]
            if answer.status not in (301, 302, 303, 307):
                return answer.status, answer.headers, body, url
            url = urljoin(url, answer.getheader("Location"))

    def page(self, url):
        status, headers, body, url = self.get(url)
        assert status == 200, (url, status, body[:500])
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        return headers, body.decode(), url


def links_of(page):
    return re.findall(r"""(?:href|src|action)=["']([^"'#]+)["']""", page)


def test_the_live_ui_of_a_running_job_is_read_through_the_coordinator(jobs, emr):
    go_on = f"given/{jobs.application}.go"
    job = jobs.start(jobs.put("shown.py", SCRIPT), f"s3://{jobs.bucket}/{go_on}")
    links = []

    def has_ui(_):
        try:
            links.append(emr.get_dashboard_for_job_run(applicationId=jobs.application, jobRunId=job)["url"])
        except emr.exceptions.ValidationException as not_yet:
            assert "shows a UI at the moment" in str(not_yet)
        return links
    jobs.wait_until(job, "its UI is up", has_ui)
    [link] = links
    browser = Browser()
    start = browser.get(link)[3]

    def is_ready(_):
        # Spark asks for patience first, and knows no page at all while it exchanges that one for the others.
        status, _, _, shown = browser.get(start)
        return status == 200 and urlsplit(shown).path == "/jobs/"
    jobs.wait_until(job, "its UI is ready", is_ready)
    _, page, home = browser.page(start)
    assert Browser().get(link)[0] == 403, "the link was used"

    # Every page of the menu, and whatever any of them loads or leads to, is under the same origin.
    origin = urlsplit(home).netloc
    seen = {home: page}
    for url in [urljoin(home, found) for found in links_of(page)]:
        if re.search(r"/(jobs|stages|storage|environment|executors|SQL)/?$", url) and url not in seen:
            _, seen[url], _ = browser.page(url)
    assert len(seen) >= 5, seen.keys()
    assert "/static/" in "".join(links_of(page))
    elsewhere = {url for base, text in seen.items() for url in map(lambda found: urljoin(base, found), links_of(text))
                 if urlsplit(url).netloc != origin}
    assert all(url.startswith("https://spark.apache.org") for url in elsewhere), elsewhere
    loaded = {urljoin(home, found) for found in links_of(page) if re.search(r"\.(js|css|png)$", found)}
    for url in sorted(loaded):
        status, headers, _, _ = browser.get(url)
        assert status == 200 and headers["X-Content-Type-Options"] == "nosniff", url
    headers, applications, _ = browser.page(urljoin(home, "/api/v1/applications"))
    assert headers["Content-Type"].startswith("application/json") and job in applications
    # Nobody can kill anything there.
    assert "/kill/" not in "".join(seen.values())
    assert browser.get(urljoin(home, "/jobs/job/kill/?id=0"), "POST")[0] == 405

    jobs.s3.put_object(Bucket=jobs.bucket, Key=go_on, Body=b"")
    jobs.wait(job)
    status, _, page, _ = browser.get(home)
    assert status == 410 and b"state SUCCESS" in page
    log = next(urljoin(home, found) for found in links_of(page.decode()))
    assert browser.page(log)[1].startswith('{"Event":"SparkListenerLogStart"')
