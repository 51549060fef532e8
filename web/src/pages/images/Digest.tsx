// A digest, short to read and whole to copy.
import { Typography } from 'antd';

export const shortDigest = (digest: string) => digest.replace(/^sha256:/, '').slice(0, 12);

export function Digest({ digest }: { digest: string }) {
  return (
    <Typography.Text className="mono nowrap" copyable={{ text: digest }} title={digest}>
      {shortDigest(digest)}
    </Typography.Text>
  );
}
