// A digest, short to read and whole to copy.
import { Copy } from '../../components/Copy';

export const shortDigest = (digest: string) => digest.replace(/^sha256:/, '').slice(0, 12);

export function Digest({ digest }: { digest: string }) {
  return (
    <span className="mono nowrap" title={digest}>
      {shortDigest(digest)} <Copy text={digest} />
    </span>
  );
}
