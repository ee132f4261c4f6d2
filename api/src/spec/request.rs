//! Reading the bodies of requests that are no documents, as users send them.

use serde_json::Value;

use super::{
    InvalidDocument,
    document::read_fields,
    values::{amount, flag, span, text, whole},
};
use crate::views::{
    CredentialRequest, DrainRequest, RerunRequest, ResumeRequest, TriggerRequest, WeightRequest,
};

/// What a request says beside its path.
pub trait RequestBody: Sized {
    /// Reads it; the error names every fault in it.
    fn parse(body: Value) -> Result<Self, InvalidDocument>;
}

impl RequestBody for TriggerRequest {
    fn parse(body: Value) -> Result<Self, InvalidDocument> {
        read_fields(body, |fields| {
            let parameter = fields.nullable("parameter", text);
            let items = fields.nullable_values("items", whole(0..=u32::MAX));
            Some(Self { parameter: parameter?, items: items? })
        })
    }
}

impl RequestBody for RerunRequest {
    fn parse(body: Value) -> Result<Self, InvalidDocument> {
        read_fields(body, |fields| {
            let items = fields.nullable_values("items", whole(0..=u32::MAX));
            let failed = fields.or("failed", false, flag);
            Some(Self { items: items?, failed: failed? })
        })
    }
}

impl RequestBody for DrainRequest {
    fn parse(body: Value) -> Result<Self, InvalidDocument> {
        read_fields(body, |fields| Some(Self { deadline: fields.nullable("deadline", span)? }))
    }
}

impl RequestBody for WeightRequest {
    fn parse(body: Value) -> Result<Self, InvalidDocument> {
        read_fields(body, |fields| Some(Self { weight: fields.required("weight", amount)? }))
    }
}

impl RequestBody for CredentialRequest {
    fn parse(body: Value) -> Result<Self, InvalidDocument> {
        read_fields(body, |fields| Some(Self { principal: fields.required("principal", text)? }))
    }
}

impl RequestBody for ResumeRequest {
    fn parse(body: Value) -> Result<Self, InvalidDocument> {
        read_fields(body, |fields| Some(Self { replay: fields.or("replay", false, flag)? }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The faults of a body, each as a text.
    fn faults<T: RequestBody>(body: Value) -> Vec<String> {
        let invalid = T::parse(body).err();
        invalid.into_iter().flat_map(|all| all.faults).map(|fault| fault.to_string()).collect()
    }

    #[test]
    fn what_a_request_says_is_read() {
        let all = json!({"parameter": "p", "items": [0, 2]});
        let request = TriggerRequest { parameter: Some("p".to_owned()), items: Some(vec![0, 2]) };
        assert_eq!(TriggerRequest::parse(all).unwrap(), request);
        for nothing in [json!({}), json!({"parameter": null, "items": null})] {
            assert_eq!(TriggerRequest::parse(nothing).unwrap(), TriggerRequest::default());
        }
        let none = TriggerRequest { parameter: None, items: Some(Vec::new()) };
        assert_eq!(TriggerRequest::parse(json!({"items": []})).unwrap(), none);
        let rerun = RerunRequest { items: Some(vec![1]), failed: true };
        assert_eq!(RerunRequest::parse(json!({"items": [1], "failed": true})).unwrap(), rerun);
        let deadline = "10m".parse().ok();
        let drain = DrainRequest::parse(json!({"deadline": "10m"})).unwrap();
        assert_eq!(drain, DrainRequest { deadline });
        let weight = WeightRequest::parse(json!({"weight": 2.5})).unwrap();
        assert_eq!(weight, WeightRequest { weight: "2.5".parse().unwrap() });
        let principal = "spark".to_owned();
        let credential = CredentialRequest::parse(json!({"principal": "spark"})).unwrap();
        assert_eq!(credential, CredentialRequest { principal });
        assert_eq!(ResumeRequest::parse(json!({})).unwrap(), ResumeRequest { replay: false });
        let replay = ResumeRequest::parse(json!({"replay": true})).unwrap();
        assert_eq!(replay, ResumeRequest { replay: true });
    }

    #[test]
    fn every_fault_of_a_request_is_named() {
        let body = json!({"items": "0", "parameter": 5, "bogus": 1});
        assert_eq!(
            faults::<TriggerRequest>(body),
            [
                "parameter: `5` is no text; put it in quotes",
                "items: `\"0\"` is no list",
                "bogus: there is no such field here; known are parameter, items",
            ]
        );
        let body = json!({"items": [0, "x", -1], "failed": "yes"});
        assert_eq!(
            faults::<RerunRequest>(body),
            [
                "items[1]: `\"x\"` is no whole number from 0 to 4294967295",
                "items[2]: `-1` is no whole number from 0 to 4294967295",
                "failed: `\"yes\"` is neither true nor false",
            ]
        );
        let no_unit = "deadline: `5` has no unit; write it as 5s (units ms s m h d)";
        assert_eq!(faults::<DrainRequest>(json!({"deadline": 5})), [no_unit]);
        assert_eq!(faults::<WeightRequest>(json!({})), ["weight: this field is required"]);
        assert_eq!(
            faults::<WeightRequest>(json!({"weight": "2"})),
            ["weight: `\"2\"` is no number"]
        );
        assert_eq!(faults::<CredentialRequest>(json!({})), ["principal: this field is required"]);
        let two = faults::<ResumeRequest>(json!({"replay": 1, "x": 2}));
        assert_eq!(two.len(), 2, "{two:?}");
        let list = "document: a document is a map of fields, and this is `[]`";
        assert_eq!(faults::<TriggerRequest>(json!([])), [list]);
    }
}
