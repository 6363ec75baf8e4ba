//! The S3 operations of multipart uploads, over the store.

use futures::TryStreamExt as _;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::conversion::{
    ExpectedDigests, ReadConditions, ReadVerdict, attributes, check_encoding, checksum_type, encoded, etag,
    page_size, refuse_unavailable, refuse_version, set_checksum, store_error, timestamp, url_encoded,
    write_condition,
};
use crate::digests::{Checksum, ChecksumKind};
use crate::error::{BodyError, StoreError};
use crate::multipart::{NamedPart, UploadQuery};
use crate::operations::{Operations, common_prefixes};

impl Operations {
    pub(crate) async fn begin(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        refuse_unavailable(&req.headers)?;
        let mut input = req.input;
        let checksum =
            match &input.checksum_algorithm {
                None => None,
                Some(name) => Some(ChecksumKind::parse(name.as_str()).ok_or_else(|| {
                    s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported.")
                })?),
            };
        let is_whole =
            input.checksum_type.as_ref().is_some_and(|kind| kind.as_str() == ChecksumType::FULL_OBJECT);
        if is_whole || checksum == Some(ChecksumKind::Crc64Nvme) {
            return Err(s3_error!(
                NotImplemented,
                "Full-object checksums of multipart uploads are not available in this store"
            ));
        }
        let attributes = attributes!(input);
        let id = self
            .store
            .begin_upload(&input.bucket, &input.key, attributes, checksum)
            .await
            .map_err(store_error)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_type: checksum.map(|_| ChecksumType::from_static(ChecksumType::COMPOSITE)),
            checksum_algorithm: input.checksum_algorithm,
            ..Default::default()
        }))
    }

    pub(crate) async fn take_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let UploadPartInput { bucket, key, upload_id, part_number, body, .. } = req.input;
        let mut expected = ExpectedDigests::from_headers(&req.headers)?;
        let number = number(part_number)?;
        let upload = self.store.upload(&bucket, &key, &upload_id).await.map_err(store_error)?;
        expected.kind = expected.kind.or(upload.checksum);
        let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let received = self.store.receive(body, expected.kind).await.map_err(store_error)?;
        expected.verify(&received, req.trailing_headers.as_ref())?;
        let part =
            self.store.commit_part(&bucket, &key, &upload_id, number, received).await.map_err(store_error)?;
        let mut output = UploadPartOutput { e_tag: Some(etag(&part.etag)), ..Default::default() };
        set_checksum!(output, part.checksum.as_ref());
        Ok(S3Response::new(output))
    }

    pub(crate) async fn copy_part(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        refuse_unavailable(&req.headers)?;
        let input = req.input;
        let CopySource::Bucket { bucket: source_bucket, key: source_key, version_id } = &input.copy_source
        else {
            return Err(s3_error!(InvalidArgument, "The copy source must name a bucket and a key"));
        };
        refuse_version(version_id.as_deref())?;
        let number = number(input.part_number)?;
        let upload =
            self.store.upload(&input.bucket, &input.key, &input.upload_id).await.map_err(store_error)?;
        let found = self.store.found(source_bucket, source_key).await.map_err(store_error)?;
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        if conditions.weigh(&found.info) != ReadVerdict::Proceed {
            return Err(store_error(StoreError::PreconditionFailed));
        }
        let range = match input.copy_source_range.as_deref().map(Range::parse) {
            None => None,
            Some(Ok(Range::Int { first, last: Some(last) })) if last < found.info.size => {
                Some(first..last + 1)
            }
            Some(_) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are \
                     the zero-based offsets of the first and last bytes to copy"
                ));
            }
        };
        let reader = found.read(range).map_err(store_error)?;
        let body = reader.map_err(|error| Box::new(error) as BodyError);
        let received = self.store.receive(body, upload.checksum).await.map_err(store_error)?;
        let part = self
            .store
            .commit_part(&input.bucket, &input.key, &input.upload_id, number, received)
            .await
            .map_err(store_error)?;
        let mut result = CopyPartResult {
            e_tag: Some(etag(&part.etag)),
            last_modified: Some(timestamp(part.modified)),
            ..Default::default()
        };
        set_checksum!(result, part.checksum.as_ref());
        let output = UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() };
        Ok(S3Response::new(output))
    }

    pub(crate) async fn complete(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let condition = write_condition(input.if_match, input.if_none_match)?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let named = parts.into_iter().map(named_part).collect::<S3Result<Vec<_>>>()?;
        let info = self
            .store
            .complete_upload(&input.bucket, &input.key, &input.upload_id, named, condition)
            .await
            .map_err(store_error)?;
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, url_encoded(&input.key))),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&info.etag)),
            checksum_type: info.attributes.checksum.as_ref().map(checksum_type),
            ..Default::default()
        };
        set_checksum!(output, info.attributes.checksum.as_ref());
        Ok(S3Response::new(output))
    }

    pub(crate) async fn show_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = req.input;
        let limit = page_size(input.max_parts, "max-parts")?;
        let after = u16::try_from(input.part_number_marker.unwrap_or(0).max(0)).unwrap_or(u16::MAX);
        let upload =
            self.store.upload(&input.bucket, &input.key, &input.upload_id).await.map_err(store_error)?;
        let mut found = self.store.parts(&upload.id, after, limit + 1).await.map_err(store_error)?;
        let is_truncated = found.len() > limit;
        found.truncate(limit);
        let last = found.last().map(|part| i32::from(part.number));
        let parts = found
            .into_iter()
            .map(|part| {
                let mut shown = Part {
                    part_number: Some(i32::from(part.number)),
                    size: Some(part.size as i64),
                    e_tag: Some(etag(&part.etag)),
                    last_modified: Some(timestamp(part.modified)),
                    ..Default::default()
                };
                set_checksum!(shown, part.checksum.as_ref());
                shown
            })
            .collect();
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(i32::from(after)),
            next_part_number_marker: last.filter(|_| is_truncated),
            max_parts: Some(limit as i32),
            is_truncated: Some(is_truncated),
            parts: Some(parts),
            checksum_algorithm: upload.checksum.map(algorithm),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..Default::default()
        }))
    }

    pub(crate) async fn show_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = req.input;
        let encoding = input.encoding_type.as_ref();
        check_encoding(encoding)?;
        let query = UploadQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after_key: input.key_marker.clone().filter(|marker| !marker.is_empty()),
            after_id: input.upload_id_marker.clone().filter(|marker| !marker.is_empty()),
            limit: page_size(input.max_uploads, "max-uploads")?,
        };
        let page = self.store.uploads(&input.bucket, &query).await.map_err(store_error)?;
        let encode = |text: &str| encoded(text, encoding);
        let (next_key, next_id) = page.next.clone().unzip();
        let uploads = page
            .uploads
            .into_iter()
            .map(|upload| MultipartUpload {
                key: Some(encode(&upload.key)),
                upload_id: Some(upload.id),
                initiated: Some(timestamp(upload.initiated)),
                checksum_algorithm: upload.checksum.map(algorithm),
                storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                ..Default::default()
            })
            .collect();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(encode(&query.prefix)),
            delimiter: query.delimiter.as_deref().map(encode),
            key_marker: Some(encode(query.after_key.as_deref().unwrap_or_default())),
            upload_id_marker: Some(query.after_id.unwrap_or_default()),
            next_key_marker: next_key.as_deref().map(encode),
            next_upload_id_marker: next_id.flatten(),
            max_uploads: Some(query.limit as i32),
            is_truncated: Some(page.next.is_some()),
            uploads: Some(uploads),
            common_prefixes: Some(common_prefixes(&page.prefixes, encoding)),
            encoding_type: input.encoding_type.clone(),
            request_charged: None,
        }))
    }
}

fn number(part_number: i32) -> S3Result<u16> {
    u16::try_from(part_number).map_err(|_| store_error(StoreError::PartNumberOutOfRange))
}

fn algorithm(kind: ChecksumKind) -> ChecksumAlgorithm {
    ChecksumAlgorithm::from_static(kind.as_str())
}

fn named_part(part: CompletedPart) -> S3Result<NamedPart> {
    let malformed = || store_error(StoreError::NoParts);
    let checksums = [
        (ChecksumKind::Crc32, part.checksum_crc32),
        (ChecksumKind::Crc32c, part.checksum_crc32c),
        (ChecksumKind::Crc64Nvme, part.checksum_crc64nvme),
        (ChecksumKind::Sha1, part.checksum_sha1),
        (ChecksumKind::Sha256, part.checksum_sha256),
    ];
    Ok(NamedPart {
        number: number(part.part_number.ok_or_else(malformed)?)?,
        etag: part.e_tag.ok_or_else(malformed)?.into_value(),
        checksum: checksums.into_iter().find_map(|(kind, value)| value.map(|value| Checksum { kind, value })),
    })
}
