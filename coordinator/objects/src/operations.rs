//! The S3 operations on buckets and objects, over the store. Permissions were checked before; see `access`.

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::access::{Access, caller};
use crate::conversion::{
    ExpectedDigests, ReadConditions, ReadVerdict, attributes, check_encoding, checksum_type, encoded, etag,
    invalid_range, page_size, refuse_unavailable, refuse_version, set_checksum, store_error, timestamp,
    write_condition,
};
use crate::error::StoreError;
use crate::listing::{ListPage, ListQuery};
use crate::model::{BucketAccess, Creation, ObjectInfo, WriteCondition};
use crate::objects::CopyAttributes;
use crate::store::ObjectStore;

/// The content type of an object stored without one.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The Region whose buckets have no location constraint, and where creating one's bucket again succeeds.
const CLASSIC_REGION: &str = "us-east-1";

/// The most keys of one batch deletion.
const DELETE_BATCH: usize = 1000;

/// The operations, over a store.
pub(crate) struct Operations {
    pub(crate) store: ObjectStore,
    pub(crate) access: Access,
    pub(crate) region: String,
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        refuse_unavailable(&req.headers)?;
        let asked =
            req.input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
        if let Some(asked) = asked.filter(|asked| asked.as_str() != self.region) {
            return Err(s3_error!(
                IllegalLocationConstraintException,
                "The {} location constraint is incompatible for the region specific endpoint this request was sent to.",
                asked.as_str()
            ));
        }
        let bucket = req.input.bucket;
        let made = self.store.create_bucket(&bucket, BucketAccess::ReadWrite).await;
        if made.map_err(store_error)? == Creation::Existed && self.region != CLASSIC_REGION {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{bucket}")) }))
    }

    async fn delete_bucket(
        &self,
        req: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.store.delete_bucket(&req.input.bucket).await.map_err(store_error)?;
        let output = DeleteBucketOutput::default();
        Ok(S3Response::with_status(output, http::StatusCode::NO_CONTENT))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.store.bucket(&req.input.bucket).await.map_err(store_error)?;
        let output = HeadBucketOutput { bucket_region: Some(self.region.clone()), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.store.bucket(&req.input.bucket).await.map_err(store_error)?;
        let region = (self.region != CLASSIC_REGION).then(|| self.region.clone());
        let location_constraint = region.map(BucketLocationConstraint::from);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn list_buckets(
        &self,
        req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let input = req.input;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let after = input.continuation_token.as_deref().unwrap_or_default();
        let limit = input.max_buckets.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let found = self.store.buckets().await.map_err(store_error)?;
        let mut left = found.into_iter().filter(|b| b.name.starts_with(prefix) && b.name.as_str() > after);
        let buckets: Vec<Bucket> = left
            .by_ref()
            .take(limit)
            .map(|bucket| Bucket {
                bucket_region: Some(self.region.clone()),
                creation_date: Some(timestamp(bucket.created)),
                name: Some(bucket.name),
            })
            .collect();
        let has_more = left.next().is_some();
        let continuation_token = buckets.last().filter(|_| has_more).and_then(|bucket| bucket.name.clone());
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            continuation_token,
            owner: None,
            prefix: input.prefix,
        }))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        refuse_unavailable(&req.headers)?;
        let mut input = req.input;
        let expected = ExpectedDigests::from_headers(&req.headers)?;
        let condition = write_condition(input.if_match.take(), input.if_none_match.take())?;
        let attributes = attributes!(input);
        let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let received = self.store.receive(body, expected.kind).await.map_err(store_error)?;
        expected.verify(&received, req.trailing_headers.as_ref())?;
        let stored = self
            .store
            .commit_object(&input.bucket, &input.key, received, attributes, condition)
            .await
            .map_err(store_error)?;
        let mut output = PutObjectOutput { e_tag: Some(etag(&stored.etag)), ..Default::default() };
        let checksum = stored.attributes.checksum.as_ref();
        output.checksum_type = checksum.map(checksum_type);
        set_checksum!(output, checksum);
        Ok(S3Response::new(output))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &req.input;
        refuse_version(input.version_id.as_deref())?;
        let found = self.store.found(&input.bucket, &input.key).await;
        let found = match found {
            Err(error) => return Err(self.missing(&req, &input.bucket, error).await),
            Ok(found) => found,
        };
        let conditions = ReadConditions {
            if_match: input.if_match.clone(),
            if_none_match: input.if_none_match.clone(),
            if_modified_since: input.if_modified_since.clone(),
            if_unmodified_since: input.if_unmodified_since.clone(),
        };
        conditions.check(&found.info)?;
        let size = found.info.size;
        let mut parts_count = None;
        let range = match (input.range, input.part_number) {
            (None, None) => None,
            (Some(range), None) => Some(range.check(size).map_err(|_| invalid_range(size))?),
            (None, Some(number)) => {
                parts_count = Some(found.segments().max(1) as i32).filter(|count| *count > 1);
                let number = usize::try_from(number).unwrap_or_default();
                Some(found.segment_range(number).ok_or_else(|| invalid_range(size))?)
            }
            (Some(_), Some(_)) => {
                return Err(s3_error!(
                    InvalidRequest,
                    "Cannot specify both Range header and partNumber query parameter"
                ));
            }
        };
        let content_range = range
            .as_ref()
            .filter(|range| !range.is_empty())
            .map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
        let is_whole = range.as_ref().is_none_or(|range| *range == (0..size));
        let reader = found.read(range).map_err(store_error)?;
        let ObjectInfo { etag: tag, modified, attributes, .. } = reader.info.clone();
        let mut output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some((reader.range.end - reader.range.start) as i64),
            content_range,
            parts_count,
            e_tag: Some(etag(&tag)),
            last_modified: Some(timestamp(modified)),
            content_type: Some(content_type(attributes.content_type)),
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            content_disposition: attributes.content_disposition,
            cache_control: attributes.cache_control,
            expires: expires(attributes.expires),
            metadata: Some(attributes.metadata.into_iter().collect()),
            body: Some(StreamingBlob::wrap(reader)),
            ..Default::default()
        };
        if is_whole && input.checksum_mode.is_some() {
            output.checksum_type = attributes.checksum.as_ref().map(checksum_type);
            set_checksum!(output, attributes.checksum.as_ref());
        }
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &req.input;
        refuse_version(input.version_id.as_deref())?;
        let info = match self.store.head(&input.bucket, &input.key).await {
            Err(error) => return Err(self.missing(&req, &input.bucket, error).await),
            Ok(info) => info,
        };
        let conditions = ReadConditions {
            if_match: input.if_match.clone(),
            if_none_match: input.if_none_match.clone(),
            if_modified_since: input.if_modified_since.clone(),
            if_unmodified_since: input.if_unmodified_since.clone(),
        };
        conditions.check(&info)?;
        let range = input.range.map(|range| range.check(info.size)).transpose();
        let range = range.map_err(|_| invalid_range(info.size))?;
        let attributes = info.attributes;
        let mut output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(range.as_ref().map_or(info.size, |r| r.end - r.start) as i64),
            content_range: range
                .map(|range| format!("bytes {}-{}/{}", range.start, range.end - 1, info.size)),
            e_tag: Some(etag(&info.etag)),
            last_modified: Some(timestamp(info.modified)),
            content_type: Some(content_type(attributes.content_type)),
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            content_disposition: attributes.content_disposition,
            cache_control: attributes.cache_control,
            expires: expires(attributes.expires),
            metadata: Some(attributes.metadata.into_iter().collect()),
            ..Default::default()
        };
        if input.checksum_mode.is_some() {
            output.checksum_type = attributes.checksum.as_ref().map(checksum_type);
            set_checksum!(output, attributes.checksum.as_ref());
        }
        Ok(S3Response::new(output))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        refuse_unavailable(&req.headers)?;
        let mut input = req.input;
        let CopySource::Bucket { bucket: source_bucket, key: source_key, version_id } = &input.copy_source
        else {
            return Err(s3_error!(InvalidArgument, "The copy source must name a bucket and a key"));
        };
        refuse_version(version_id.as_deref())?;
        let is_replaced = input
            .metadata_directive
            .as_ref()
            .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let is_itself = **source_bucket == *input.bucket && **source_key == *input.key;
        if is_itself && !is_replaced {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let source = self.store.head(source_bucket, source_key).await.map_err(store_error)?;
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match.clone(),
            if_none_match: input.copy_source_if_none_match.clone(),
            if_modified_since: input.copy_source_if_modified_since.clone(),
            if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
        };
        if conditions.weigh(&source) != ReadVerdict::Proceed {
            return Err(store_error(StoreError::PreconditionFailed));
        }
        let has_conditions =
            req.headers.keys().any(|name| name.as_str().starts_with("x-amz-copy-source-if-"));
        let held_to = has_conditions.then_some(source.etag.as_str());
        let attributes =
            if is_replaced { CopyAttributes::Replace(attributes!(input)) } else { CopyAttributes::Keep };
        let copied = self
            .store
            .copy((source_bucket, source_key), held_to, (&input.bucket, &input.key), attributes)
            .await
            .map_err(store_error)?;
        let mut result = CopyObjectResult {
            e_tag: Some(etag(&copied.etag)),
            last_modified: Some(timestamp(copied.modified)),
            ..Default::default()
        };
        set_checksum!(result, copied.attributes.checksum.as_ref());
        let output = CopyObjectOutput { copy_object_result: Some(result), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        refuse_version(input.version_id.as_deref())?;
        if input.if_match_size.is_some() || input.if_match_last_modified_time.is_some() {
            return Err(s3_error!(NotImplemented, "Only If-Match is available as a condition"));
        }
        let deleted = match write_condition(input.if_match, None)? {
            WriteCondition::Always => self.store.delete(&input.bucket, &[input.key]).await,
            condition => self.store.delete_if(&input.bucket, &input.key, condition).await,
        };
        deleted.map_err(store_error)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let caller = caller(&req.extensions)?;
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        if delete.objects.is_empty() || delete.objects.len() > DELETE_BATCH {
            return Err(store_error(StoreError::NoParts));
        }
        let mut allowed = Vec::with_capacity(delete.objects.len());
        let mut errors = Vec::new();
        for object in delete.objects {
            let is_conditional =
                object.e_tag.is_some() || object.size.is_some() || object.last_modified_time.is_some();
            let checked = if is_conditional {
                Err(s3_error!(NotImplemented, "Conditions are not available in batch deletions"))
            } else {
                refuse_version(object.version_id.as_deref())
            };
            let checked = match checked {
                Ok(()) => self.access.check_object(caller, "s3:DeleteObject", &bucket, &object.key).await,
                Err(error) => Err(error),
            };
            match checked {
                Ok(()) => allowed.push(object.key),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    key: Some(object.key),
                    version_id: object.version_id,
                }),
            }
        }
        self.store.delete(&bucket, &allowed).await.map_err(store_error)?;
        let deleted =
            allowed.into_iter().map(|key| DeletedObject { key: Some(key), ..Default::default() }).collect();
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!delete.quiet.unwrap_or(false)).then_some(deleted),
            errors: Some(errors),
            request_charged: None,
        }))
    }

    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = req.input;
        let encoding = input.encoding_type.as_ref();
        check_encoding(encoding)?;
        let query = ListQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone(),
            limit: page_size(input.max_keys, "max-keys")?,
        };
        let page = self.store.list(&input.bucket, &query).await.map_err(store_error)?;
        let encode = |text: &str| encoded(text, encoding);
        let next = page.next.as_deref().filter(|_| query.delimiter.is_some());
        Ok(S3Response::new(ListObjectsOutput {
            is_truncated: Some(page.next.is_some()),
            next_marker: next.map(encode),
            contents: Some(contents(&page, encoding)),
            common_prefixes: Some(common_prefixes(&page.prefixes, encoding)),
            name: Some(input.bucket),
            prefix: Some(encode(&query.prefix)),
            marker: Some(encode(query.after.as_deref().unwrap_or_default())),
            max_keys: Some(query.limit as i32),
            delimiter: query.delimiter.as_deref().map(encode),
            encoding_type: input.encoding_type.clone(),
            request_charged: None,
        }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let encoding = input.encoding_type.as_ref();
        check_encoding(encoding)?;
        let resumed = input.continuation_token.as_deref().map(from_token).transpose()?;
        let query = ListQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: resumed.or_else(|| input.start_after.clone()),
            limit: page_size(input.max_keys, "max-keys")?,
        };
        let page = self.store.list(&input.bucket, &query).await.map_err(store_error)?;
        let encode = |text: &str| encoded(text, encoding);
        Ok(S3Response::new(ListObjectsV2Output {
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.as_deref().map(to_token),
            key_count: Some((page.objects.len() + page.prefixes.len()) as i32),
            contents: Some(contents(&page, encoding)),
            common_prefixes: Some(common_prefixes(&page.prefixes, encoding)),
            name: Some(input.bucket),
            prefix: Some(encode(&query.prefix)),
            max_keys: Some(query.limit as i32),
            continuation_token: input.continuation_token,
            delimiter: query.delimiter.as_deref().map(encode),
            start_after: input.start_after.as_deref().map(encode),
            encoding_type: input.encoding_type.clone(),
            request_charged: None,
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin(req).await
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.take_part(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.copy_part(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let AbortMultipartUploadInput { bucket, key, upload_id, .. } = req.input;
        self.store.abort_upload(&bucket, &key, &upload_id).await.map_err(store_error)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.show_parts(req).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.show_uploads(req).await
    }
}

impl Operations {
    /// The answer when a key is not there: whoever may not list the bucket does not learn that.
    async fn missing<T>(&self, req: &S3Request<T>, bucket: &str, error: StoreError) -> s3s::S3Error {
        if matches!(error, StoreError::NoSuchKey) {
            let checked = match caller(&req.extensions) {
                Ok(caller) => self.access.check_bucket(caller, "s3:ListBucket", bucket).await,
                Err(error) => Err(error),
            };
            if let Err(denied) = checked {
                return denied;
            }
        }
        store_error(error)
    }
}

fn content_type(kept: Option<String>) -> String {
    kept.unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())
}

fn expires(seconds: Option<i64>) -> Option<Timestamp> {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds?).ok()?;
    Some(timestamp(time))
}

fn contents(page: &ListPage, encoding: Option<&EncodingType>) -> Vec<Object> {
    page.objects
        .iter()
        .map(|info| Object {
            key: Some(encoded(&info.key, encoding)),
            size: Some(info.size as i64),
            e_tag: Some(etag(&info.etag)),
            last_modified: Some(timestamp(info.modified)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Default::default()
        })
        .collect()
}

/// Common prefixes as the protocol writes them.
pub(crate) fn common_prefixes(prefixes: &[String], encoding: Option<&EncodingType>) -> Vec<CommonPrefix> {
    prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encoded(prefix, encoding)) }).collect()
}

/// A continuation token: opaque to clients, the last entry of the page to us.
fn to_token(last: &str) -> String {
    hex::encode(last)
}

fn from_token(token: &str) -> S3Result<String> {
    let bytes = hex::decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
