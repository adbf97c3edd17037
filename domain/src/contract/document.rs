//! The form of an Open Data Contract: ODCS 3.1.0, `schema/odcs-json-schema-v3.1.0.json`.
//!
//! Reading a document into these types is how its form is checked: what the standard doesn't have is refused by its place.
#![expect(dead_code, reason = "fields that nothing acts on are there to be checked")]
#![expect(clippy::struct_field_names, reason = "fields are named by the standard")]

use serde::Deserialize;
use serde_json::{Map, Value};

type Tags = Option<Vec<String>>;
type CustomProperties = Option<Vec<CustomProperty>>;
type Definitions = Option<Vec<Definition>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) version: String,
    pub(super) api_version: String,
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) status: String,
    pub(super) name: Option<String>,
    tenant: Option<String>,
    tags: Tags,
    servers: Option<Vec<Server>>,
    data_product: Option<String>,
    pub(super) description: Option<Description>,
    domain: Option<String>,
    #[serde(default)]
    pub(super) schema: Vec<Object>,
    support: Option<Vec<Support>>,
    price: Option<Price>,
    team: Option<Team>,
    roles: Option<Vec<Role>>,
    sla_default_element: Option<String>,
    #[serde(default)]
    pub(super) sla_properties: Vec<ServiceLevelProperty>,
    authoritative_definitions: Definitions,
    custom_properties: CustomProperties,
    contract_created_ts: Option<String>,
}

#[derive(Deserialize)]
pub(super) enum Kind {
    DataContract,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Description {
    usage: Option<String>,
    pub(super) purpose: Option<String>,
    limitations: Option<String>,
    authoritative_definitions: Definitions,
    custom_properties: CustomProperties,
}

/// A server: what it needs beside these depends on its type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    server: String,
    #[serde(rename = "type")]
    kind: String,
    description: Option<String>,
    environment: Option<String>,
    roles: Option<Vec<Role>>,
    custom_properties: CustomProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Object {
    id: Option<String>,
    pub(super) name: String,
    pub(super) physical_name: Option<String>,
    physical_type: Option<String>,
    logical_type: Option<String>,
    description: Option<String>,
    business_name: Option<String>,
    data_granularity_description: Option<String>,
    #[serde(default)]
    pub(super) properties: Vec<Property>,
    relationships: Option<Vec<Relationship>>,
    #[serde(default)]
    pub(super) quality: Vec<Quality>,
    authoritative_definitions: Definitions,
    tags: Tags,
    custom_properties: CustomProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Property {
    id: Option<String>,
    /// Absent in the items of an array.
    pub(super) name: Option<String>,
    pub(super) physical_name: Option<String>,
    physical_type: Option<String>,
    logical_type: Option<String>,
    logical_type_options: Option<Map<String, Value>>,
    description: Option<String>,
    business_name: Option<String>,
    primary_key: Option<bool>,
    primary_key_position: Option<i64>,
    required: Option<bool>,
    pub(super) unique: Option<bool>,
    partitioned: Option<bool>,
    partition_key_position: Option<i64>,
    classification: Option<String>,
    encrypted_name: Option<String>,
    transform_source_objects: Option<Vec<String>>,
    transform_logic: Option<String>,
    transform_description: Option<String>,
    examples: Option<Vec<Value>>,
    critical_data_element: Option<bool>,
    relationships: Option<Vec<Relationship>>,
    #[serde(default)]
    pub(super) quality: Vec<Quality>,
    #[serde(default)]
    properties: Vec<Property>,
    items: Option<Box<Property>>,
    authoritative_definitions: Definitions,
    tags: Tags,
    custom_properties: CustomProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Quality {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<QualityKind>,
    pub(super) metric: Option<String>,
    /// The older word for `metric`.
    pub(super) rule: Option<String>,
    pub(super) arguments: Option<Map<String, Value>>,
    pub(super) query: Option<String>,
    engine: Option<String>,
    implementation: Option<Value>,
    pub(super) must_be: Option<Value>,
    pub(super) must_not_be: Option<Value>,
    pub(super) must_be_greater_than: Option<f64>,
    pub(super) must_be_greater_or_equal_to: Option<f64>,
    pub(super) must_be_less_than: Option<f64>,
    pub(super) must_be_less_or_equal_to: Option<f64>,
    pub(super) must_be_between: Option<[f64; 2]>,
    pub(super) must_not_be_between: Option<[f64; 2]>,
    pub(super) unit: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) dimension: Option<Dimension>,
    business_impact: Option<String>,
    method: Option<String>,
    scheduler: Option<String>,
    schedule: Option<String>,
    authoritative_definitions: Definitions,
    tags: Tags,
    custom_properties: CustomProperties,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum QualityKind {
    Text,
    Library,
    Sql,
    Custom,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Dimension {
    #[serde(alias = "ac")]
    Accuracy,
    #[serde(alias = "cp")]
    Completeness,
    #[serde(alias = "cf")]
    Conformity,
    #[serde(alias = "cs")]
    Consistency,
    #[serde(alias = "cv")]
    Coverage,
    #[serde(alias = "tm")]
    Timeliness,
    #[serde(alias = "uq")]
    Uniqueness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Relationship {
    #[serde(rename = "type")]
    kind: Option<String>,
    from: Option<Value>,
    to: Value,
    custom_properties: CustomProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Support {
    id: Option<String>,
    channel: String,
    url: Option<String>,
    description: Option<String>,
    tool: Option<String>,
    scope: Option<String>,
    invitation_url: Option<String>,
    custom_properties: CustomProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Price {
    id: Option<String>,
    price_amount: Option<f64>,
    price_currency: Option<String>,
    price_unit: Option<String>,
}

/// A team, or its members alone, as in versions before 3.1.
#[derive(Deserialize)]
#[serde(untagged)]
enum Team {
    Named(NamedTeam),
    Members(Vec<Member>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NamedTeam {
    id: Option<String>,
    name: Option<String>,
    description: Option<String>,
    members: Option<Vec<Member>>,
    tags: Tags,
    custom_properties: CustomProperties,
    authoritative_definitions: Definitions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Member {
    id: Option<String>,
    username: String,
    name: Option<String>,
    description: Option<String>,
    role: Option<String>,
    date_in: Option<String>,
    date_out: Option<String>,
    replaced_by_username: Option<String>,
    tags: Tags,
    custom_properties: CustomProperties,
    authoritative_definitions: Definitions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Role {
    id: Option<String>,
    role: String,
    description: Option<String>,
    access: Option<String>,
    first_level_approvers: Option<String>,
    second_level_approvers: Option<String>,
    custom_properties: CustomProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ServiceLevelProperty {
    id: Option<String>,
    pub(super) property: String,
    pub(super) value: Value,
    value_ext: Option<Value>,
    pub(super) unit: Option<String>,
    pub(super) element: Option<String>,
    driver: Option<String>,
    description: Option<String>,
    scheduler: Option<String>,
    schedule: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomProperty {
    id: Option<String>,
    property: String,
    value: Value,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    id: Option<String>,
    url: String,
    #[serde(rename = "type")]
    kind: String,
    description: Option<String>,
}
