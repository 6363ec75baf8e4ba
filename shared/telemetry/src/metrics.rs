//! A registry of metrics and its text form.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::{Arc, PoisonError, RwLock};

/// The content type of [`Metrics::encode`]'s answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One label and its value. Values must come from a bounded set: never a job run's or a worker's id.
pub type Labels = [(&'static str, &'static str); 1];

/// The metrics of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<RwLock<Registry>>,
}

impl Metrics {
    /// An empty registry whose metrics are all named `<prefix>_…`, with `<prefix>_build_info` in it.
    pub fn new(prefix: &'static str, version: &'static str) -> Self {
        let mut registry = Registry::with_prefix(prefix);
        let build = Family::<Labels, Gauge>::default();
        build.get_or_create(&[("version", version)]).set(1);
        registry.register("build_info", "The running version", build);
        Self { registry: Arc::new(RwLock::new(registry)) }
    }

    /// Registers a counter.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        let counter = Counter::default();
        self.with(|registry| registry.register(name, help, counter.clone()));
        counter
    }

    /// Registers a gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        let gauge = Gauge::default();
        self.with(|registry| registry.register(name, help, gauge.clone()));
        gauge
    }

    /// Registers counters told apart by one label.
    pub fn counters(&self, name: &'static str, help: &'static str) -> Family<Labels, Counter> {
        let family = Family::<Labels, Counter>::default();
        self.with(|registry| registry.register(name, help, family.clone()));
        family
    }

    /// Registers gauges told apart by one label.
    pub fn gauges(&self, name: &'static str, help: &'static str) -> Family<Labels, Gauge> {
        let family = Family::<Labels, Gauge>::default();
        self.with(|registry| registry.register(name, help, family.clone()));
        family
    }

    /// Gives access to the registry, for kinds of metrics that have no method here.
    pub fn with<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// All metrics in the OpenMetrics text form, which Prometheus reads.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a string cannot fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_encoded() {
        let metrics = Metrics::new("hearth_agent", "1.2.3");
        let workers = metrics.gauges("workers", "Workers by state");
        workers.get_or_create(&[("state", "running")]).set(2);
        metrics.counter("reconnects", "Connections to the coordinator").inc();
        let text = metrics.encode();
        for line in [
            "hearth_agent_build_info{version=\"1.2.3\"} 1",
            "hearth_agent_workers{state=\"running\"} 2",
            "hearth_agent_reconnects_total 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
