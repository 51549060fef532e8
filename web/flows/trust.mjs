// Keys and rules of a project, a signature as cosign makes it, and what a scanner found.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

const P = 'flow-trust';
const OCI = 'application/vnd.oci.image.manifest.v1+json';
const sha = (data) => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** What the registry's API takes. */
function registry(url, admin) {
  const auth = { Authorization: `Basic ${Buffer.from(`${admin.user}:${admin.password}`).toString('base64')}` };
  const blob = async (data) => {
    const begun = await fetch(`${url}/v2/${P}/app/blobs/uploads/`, { method: 'POST', headers: auth });
    const at = new URL(begun.headers.get('location'), url);
    at.searchParams.set('digest', sha(data));
    const put = await fetch(at, { method: 'PUT', headers: auth, body: data });
    if (put.status !== 201) throw new Error(`blob: ${put.status} ${await put.text()}`);
    return { digest: sha(data), size: Buffer.byteLength(data) };
  };
  const manifest = async (tag, config, layers) => {
    const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI, config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...(await blob(config)) }, layers });
    const put = await fetch(`${url}/v2/${P}/app/manifests/${tag}`, { method: 'PUT', headers: { ...auth, 'Content-Type': OCI }, body });
    if (put.status !== 201) throw new Error(`manifest: ${put.status} ${await put.text()}`);
    return sha(body);
  };
  return { blob, manifest };
}

const choose = async (page, label, option) => {
  await page.getByRole('combobox', { name: label }).click();
  await page.locator(`.ant-select-dropdown:not(.ant-select-dropdown-hidden) .ant-select-item-option[title="${option}"]`).click();
};

export const flows = {
  'a maintainer adds a key and rules; an image says who signed it and what was found': async ({ page, newPage, url, api, admin, shot, accessible }) => {
    await api('POST', '/api/v1/projects', { name: P });
    const { blob, manifest } = registry(url, admin);
    const digest = await manifest('1', '{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}', []);
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

    await page.goto(`${url}/ui/p/${P}/settings`);
    await page.getByRole('button', { name: 'Add a key' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('release');
    await dialog.getByLabel('Public key (PEM)').fill('no key');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').waitFor();
    await accessible(page);
    await shot(page, 'key');
    await dialog.getByLabel('Public key (PEM)').fill(publicKey.export({ type: 'spki', format: 'pem' }));
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Delete the key release' }).waitFor();
    await choose(page, 'Signed images only', 'To be pulled');
    await choose(page, 'Refuse findings of this severity or worse', 'High');
    const rules = page.locator('.ant-card', { hasText: 'What may be pulled and run' });
    const saved = page.waitForResponse((r) => r.url().endsWith('/trust-policy') && r.request().method() === 'PUT' && r.ok());
    await rules.getByRole('button', { name: 'Save' }).click();
    await saved;
    await rules.scrollIntoViewIfNeeded();
    await accessible(page);
    await shot(page, 'rules');

    // Nobody has signed it.
    const at = `${url}/ui/p/${P}/images/app?tag=1`;
    await page.goto(at);
    await page.getByText('Cannot be pulled').waitFor();
    await shot(page, 'unsigned');

    // As `cosign sign --key`.
    const payload = JSON.stringify({ critical: { identity: { 'docker-reference': 'hub/app' }, image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' }, optional: null });
    const layer = { mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json', ...(await blob(payload)), annotations: { 'dev.cosignproject.cosign/signature': sign('sha256', Buffer.from(payload), privateKey).toString('base64') } };
    await manifest(`${digest.replace(':', '-')}.sig`, '{}', [layer]);
    await api('PUT', `/api/v1/projects/${P}/repositories/app/artifacts/1/vulnerabilities`, {
      scanner: { name: 'Test' },
      vulnerabilities: [
        { id: 'CVE-2026-1', package: 'musl', version: '1.2', fix_version: '1.3', severity: 'High', links: ['https://example.org/1'] },
        { id: 'CVE-2026-2', package: 'zlib', version: '1.1', severity: 'Low' },
      ],
    });
    await page.goto(at);
    await page.getByText('Signed with release').waitFor();
    await page.getByText('CVE-2026-1', { exact: true }).waitFor();
    await page.getByText('CVE-2026-2', { exact: true }).waitFor();
    await choose(page, 'Only these and worse', 'High');
    await page.getByText('CVE-2026-2', { exact: true }).waitFor({ state: 'detached' });
    await page.getByText('CVE-2026-1', { exact: true }).waitFor();
    await page.getByText('Cannot be pulled').waitFor(); // a finding is as bad as the rule says
    await accessible(page);
    await shot(page, 'findings');
    const small = await newPage({ width: 400, dark: true });
    await small.goto(at);
    await small.getByText('CVE-2026-1', { exact: true }).waitFor();
    await accessible(small);
    await shot(small, 'findings-small');
    await small.goto(`${url}/ui/p/${P}/settings`);
    await small.getByText('What may be pulled and run').scrollIntoViewIfNeeded();
    await shot(small, 'rules-small');

    // A scanner that hangs.
    const hanging = createServer(() => {}).listen(0, '127.0.0.1');
    await once(hanging, 'listening');
    await api('POST', '/api/v1/scanners', { name: P, url: `http://127.0.0.1:${hanging.address().port}` });
    await page.goto(at);
    await page.getByRole('button', { name: 'Scan', exact: true }).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('The scan was stopped.').waitFor();
    await page.getByRole('button', { name: 'Scan', exact: true }).waitFor();
    await accessible(page);
    await shot(page, 'stopped');
    await api('DELETE', `/api/v1/scanners/${P}`);
    hanging.closeAllConnections();
    hanging.close();

    await page.goto(`${url}/ui/p/${P}/settings`);
    await page.getByRole('button', { name: 'Delete the key release' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('No keys yet.').waitFor();
    await page.goto(at);
    await page.getByText('No key of the project verifies a signature').waitFor();
  },
};
