//! A small ontology server: any registry of schemas, over HTTP.

use std::sync::Arc;

use gadwall_application::error::UseCaseError;
use gadwall_application::schemas::Failure;
use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::ontology::{Fetched, RegistryError, SchemaRegistry};
use poem::endpoint::{BoxEndpoint, EndpointExt as _};
use poem::http::{StatusCode, header};
use poem::web::{Data, Path};
use poem::{IntoResponse as _, Request, Response, Route, get, handler};

use crate::api::conditions::is_known;
use crate::problem::ApiError;

type Registry = Arc<dyn SchemaRegistry>;

/// Its routes: `/schemas/{id}` with entity tags, and `/health`.
pub(crate) fn routes(registry: Registry) -> BoxEndpoint<'static, Response> {
    Route::new().at("/health", get(health)).at("/schemas/:id", get(schema)).data(registry).map_to_response().boxed()
}

#[handler]
async fn health(Data(registry): Data<&Registry>) -> Response {
    if registry.health().await.is_ok() {
        return Response::builder().content_type(JSON).body(r#"{"status":"ok"}"#);
    }
    ApiError::unavailable("unhealthy", "the schemas can't be read", serde_json::Value::Null).into_response()
}

#[handler]
async fn schema(request: &Request, Data(registry): Data<&Registry>, Path(id): Path<String>) -> Response {
    let id = match SchemaId::parse(&id) {
        Ok(id) => id,
        Err(error) => return ApiError::out_of_range(error.to_string()).into_response(),
    };
    match registry.fetch(&id, None).await {
        Ok(Fetched::Document { body, tag }) => {
            let tag = tag.unwrap_or_default();
            let answer = Response::builder().header(header::ETAG, &tag).header(header::CACHE_CONTROL, "no-cache");
            if is_known(request.header(header::IF_NONE_MATCH), &tag) {
                return answer.status(StatusCode::NOT_MODIFIED).finish();
            }
            answer.content_type(JSON).body(body.to_string())
        }
        Ok(Fetched::Unchanged) | Err(RegistryError::NotFound) => {
            ApiError::from(UseCaseError::NoSchema(id)).into_response()
        }
        Err(error) => {
            let failure = Failure::Unusable(error.to_string());
            ApiError::from(UseCaseError::SchemaAway { id, failure }).into_response()
        }
    }
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use gadwall_application::testing::MemoryRegistry;
    use poem::test::TestClient;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn schemas_are_served_with_their_tags() {
        let registry = Arc::new(MemoryRegistry::default());
        registry.serve("a", Some(json!({ "columns": [] })));
        let client = TestClient::new(routes(Arc::clone(&registry) as Registry));
        let answer = client.get("/schemas/a").send().await;
        answer.assert_status_is_ok();
        let tag = answer.0.header("etag").unwrap().to_owned();
        answer.assert_json(json!({ "columns": [] })).await;
        let again = client.get("/schemas/a").header("If-None-Match", &tag).send().await;
        again.assert_status(StatusCode::NOT_MODIFIED);
        registry.serve("a", Some(json!({ "columns": [1] })));
        client.get("/schemas/a").header("If-None-Match", &tag).send().await.assert_status_is_ok();
        client.get("/schemas/b").send().await.assert_status(StatusCode::NOT_FOUND);
        client.get("/schemas/.b").send().await.assert_status(StatusCode::UNPROCESSABLE_ENTITY);
        client.get("/health").send().await.assert_status_is_ok();
        registry.set_failing(true);
        client.get("/schemas/a").send().await.assert_status(StatusCode::SERVICE_UNAVAILABLE);
        client.get("/health").send().await.assert_status(StatusCode::SERVICE_UNAVAILABLE);
    }
}
