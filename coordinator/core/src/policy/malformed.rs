//! Why IAM refuses a policy document.

/// The cause of a `MalformedPolicyDocument` error; the text is IAM's where IAM's is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPolicy {
    /// Not JSON, a wrong type, an unknown element, or an element given twice.
    #[error("Syntax errors in policy.")]
    Syntax,
    /// `Version` is neither of the two.
    #[error("The policy must contain a valid version string")]
    Version,
    /// No `Action` or `NotAction`, or an empty one.
    #[error("Policy statement must contain actions.")]
    NoActions,
    /// No `Resource` or `NotResource`, or an empty one.
    #[error("Policy statement must contain resources.")]
    NoResources,
    /// No `Principal` or `NotPrincipal` in a trust policy.
    #[error("Policy statement must contain principals.")]
    NoPrincipals,
    /// A `Principal` in an identity policy.
    #[error("Policy document should not specify a principal.")]
    PrincipalGiven,
    /// A `Resource` in a trust policy.
    #[error("Has prohibited field Resource")]
    ResourceGiven,
    /// A trust policy about something else than assuming the role.
    #[error("AssumeRole policy may only specify STS AssumeRole actions.")]
    NotSts,
    /// An action without its service.
    #[error("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")]
    NoVendor,
    /// A resource that is no ARN.
    #[error("Resource {0} must be in ARN format or \"*\".")]
    NotAnArn(String),
    /// A principal that names nobody.
    #[error("Invalid principal in policy: {0}")]
    Principal(String),
    /// A `Sid` with other characters.
    #[error(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    )]
    Sid,
    /// The same `Sid` twice.
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    DuplicateSid,
    /// A condition operator that does not exist.
    #[error("Invalid Condition type : {0}.")]
    Operator(String),
    /// A condition value its operator cannot read.
    #[error("The value {value} is not valid for condition operator {operator}.")]
    Value {
        /// The operator.
        operator: String,
        /// The value.
        value: String,
    },
}
