import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';

/**
 * A client of the S3 server that the AWS variables name: AWS_ENDPOINT_URL for another one than Amazon's, AWS_REGION, and
 * credentials as the AWS SDK finds them (AWS_ACCESS_KEY_ID, a profile, the machine's role). It tries thrice what may pass,
 * unless `otherwise` says otherwise.
 */
export async function createS3Client(
  env: NodeJS.ProcessEnv = process.env,
  otherwise: S3ClientConfig = {},
): Promise<S3Client> {
  // Loaded when first needed: a project of local files never needs it.
  // It would warn of a Node version to come, in the middle of a command's output.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const { S3Client } = await import('@aws-sdk/client-s3');
  const endpoint = env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL;
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: token } = env;
  return new S3Client({
    region: env.AWS_REGION || env.AWS_DEFAULT_REGION || 'us-east-1',
    maxAttempts: 3,
    // Other servers than Amazon's seldom have a host name a bucket.
    ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
    ...(accessKeyId && secretAccessKey
      ? { credentials: { accessKeyId, secretAccessKey, ...(token ? { sessionToken: token } : {}) } }
      : {}),
    ...otherwise,
  });
}

/** `s3://bucket/some/key` → bucket and key; undefined for anything else. */
export function parseS3Address(address: string): { bucket: string; key: string } | undefined {
  const [, bucket, key = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(address) ?? [];
  return bucket === undefined ? undefined : { bucket, key };
}
