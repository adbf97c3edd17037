//! Figures as the data model of OpenTelemetry has them.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::collector::SERVICE;

/// What a point is of.
pub type Attributes = Vec<(&'static str, Attribute)>;

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number, as of an HTTP status.
    Number(i64),
}

/// A figure with its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// What it is counted in, as UCUM writes it; empty for none.
    pub unit: &'static str,
    /// The points.
    pub points: Points,
}

/// The points of a figure. Sums and distributions only grow, from the process's start on.
#[derive(Debug, Clone, PartialEq)]
pub enum Points {
    /// What only grows.
    Sums(Vec<(Attributes, f64)>),
    /// What goes up and down.
    Gauges(Vec<(Attributes, f64)>),
    /// How values are distributed.
    Distributions(Vec<(Attributes, Distribution)>),
}

/// How values are distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// The upper bounds of all classes but the last, which has none.
    pub bounds: Vec<f64>,
    /// How many values are in each class.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: f64,
    /// How many there are.
    pub count: u64,
}

/// When points are from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    start: u64,
    now: u64,
}

impl Times {
    /// From this on until now.
    pub(crate) fn since(start: SystemTime) -> Self {
        Self { start: nanos(start), now: nanos(SystemTime::now()) }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// All of it, of this sender. Families without points are left out.
pub(crate) fn message(families: Vec<Family>, resource: Resource, times: Times) -> ResourceMetrics {
    let scope = InstrumentationScope { name: SERVICE.to_owned(), ..InstrumentationScope::default() };
    let metrics = families.into_iter().filter_map(|family| metric(family, times)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() }
}

/// A sender.
pub(crate) fn resource(version: &str, instance: &str) -> Resource {
    let said = [("service.name", SERVICE), ("service.version", version), ("service.instance.id", instance)];
    let attributes = said.map(|(key, value)| pair(key, Attribute::Text(value.to_owned()))).into();
    Resource { attributes, ..Resource::default() }
}

fn metric(family: Family, times: Times) -> Option<Metric> {
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match family.points {
        Points::Sums(points) => Data::Sum(Sum {
            data_points: some(numbers(points, times.start, times))?,
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        // What is so at a moment has no beginning.
        Points::Gauges(points) => Data::Gauge(Gauge { data_points: some(numbers(points, 0, times))? }),
        Points::Distributions(points) => Data::Histogram(Histogram {
            data_points: some(points.into_iter().map(|point| distribution(point, times)).collect())?,
            aggregation_temporality: cumulative,
        }),
    };
    Some(Metric {
        name: family.name.to_owned(),
        description: family.help.to_owned(),
        unit: family.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

fn some<T>(points: Vec<T>) -> Option<Vec<T>> {
    (!points.is_empty()).then_some(points)
}

fn numbers(points: Vec<(Attributes, f64)>, start: u64, times: Times) -> Vec<NumberDataPoint> {
    let point = |(attributes, value)| NumberDataPoint {
        attributes: pairs(attributes),
        start_time_unix_nano: start,
        time_unix_nano: times.now,
        value: Some(Number::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    points.into_iter().map(point).collect()
}

fn distribution((attributes, told): (Attributes, Distribution), times: Times) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: pairs(attributes),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: told.count,
        sum: Some(told.sum),
        bucket_counts: told.counts,
        explicit_bounds: told.bounds,
        ..HistogramDataPoint::default()
    }
}

fn pairs(attributes: Attributes) -> Vec<KeyValue> {
    attributes.into_iter().map(|(key, value)| pair(key, value)).collect()
}

fn pair(key: &str, value: Attribute) -> KeyValue {
    let value = match value {
        Attribute::Text(text) => Value::StringValue(text),
        Attribute::Number(number) => Value::IntValue(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
