// Images: pushing archives from the browser, what one sees of an image, deleting.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const run = (program, args) => execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
/** What an earlier flow has made already is fine. */
const ensure = (api, method, path, body) => api(method, path, body).catch(() => undefined);
const host = (url) => new URL(url).host;

/** An OCI layout with busybox in it, made by skopeo, as an archive of each kind. */
function archives(url, admin, folder) {
  const creds = `${admin.user}:${admin.password}`;
  const source = `docker://${host(url)}/flow-images/base:1`;
  const made = { docker: join(folder, 'bb-docker.tar'), oci: join(folder, 'bb-oci.tar') };
  run('skopeo', ['copy', '--src-tls-verify=false', '--src-creds', creds, source, `docker-archive:${made.docker}:busybox:1`]);
  run('skopeo', ['copy', '--src-tls-verify=false', '--src-creds', creds, source, `oci-archive:${made.oci}:v2`]);
  made.packed = join(folder, 'packed.tar.gz');
  writeFileSync(made.packed, gzipSync(readFileSync(made.docker), { level: 1 }));
  return made;
}

/** The first image, from the program busybox alone, by the API of registries. */
async function baseImage(url, admin, api) {
  await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-images' });
  const folder = mkdtempSync(join(tmpdir(), 'strata-flow-'));
  const layout = join(folder, 'layout');
  run('mkdir', ['-p', join(folder, 'root/bin'), join(layout, 'blobs/sha256')]);
  run('cp', ['/bin/busybox', join(folder, 'root/bin/busybox')]);
  run('tar', ['-C', join(folder, 'root'), '-cf', join(folder, 'layer.tar'), '.']);
  const put = (bytes) => {
    writeFileSync(join(folder, 'blob'), bytes);
    const digest = run('sha256sum', [join(folder, 'blob')]).slice(0, 64);
    writeFileSync(join(layout, 'blobs/sha256', digest), bytes);
    return { digest: `sha256:${digest}`, size: bytes.length };
  };
  const plain = readFileSync(join(folder, 'layer.tar'));
  writeFileSync(join(folder, 'blob'), plain);
  const diff = run('sha256sum', [join(folder, 'blob')]).slice(0, 64);
  const layer = put(gzipSync(plain));
  const config = put(
    Buffer.from(
      JSON.stringify({
        os: 'linux',
        architecture: 'amd64',
        config: { Cmd: ['/bin/busybox', 'echo', 'hello'], Env: ['GREETING=hi'], Labels: { team: 'vision' } },
        rootfs: { type: 'layers', diff_ids: [`sha256:${diff}`] },
        history: [{ created_by: 'ADD busybox' }, { created_by: 'ENV GREETING=hi', empty_layer: true }],
      }),
    ),
  );
  const manifest = put(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }],
      }),
    ),
  );
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest }] }),
  );
  run('skopeo', ['copy', '--dest-tls-verify=false', '--dest-creds', `${admin.user}:${admin.password}`, `oci:${layout}`, `docker://${host(url)}/flow-images/base:1`]);
  return folder;
}

async function push(page, url, project, file, repository, tag) {
  await page.goto(`${url}/ui/p/${project}/images`);
  await page.getByRole('button', { name: 'Upload an archive' }).first().click();
  await page.locator('input[type=file]').setInputFiles(file);
  await page.getByLabel('Repository', { exact: true }).fill(repository);
  await page.getByLabel('Tag', { exact: true }).fill(tag);
  await page.getByRole('button', { name: 'Push', exact: true }).click();
  await page.getByText(`${project}/${repository}:${tag} is here`).waitFor();
}

export const flows = {
  'archives of docker save and OCI are pushed from the browser and can be pulled': async ({ page, url, admin, api }) => {
    const folder = await baseImage(url, admin, api);
    try {
      const made = archives(url, admin, folder);
      await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-uploads' }); // without the blobs: all must be sent
      for (const [kind, file] of Object.entries(made)) {
        await push(page, url, 'flow-uploads', file, `tools/${kind}`, 'v1');
        const creds = ['--tls-verify=false', '--creds', `${admin.user}:${admin.password}`];
        const seen = JSON.parse(run('skopeo', ['inspect', ...creds, `docker://${host(url)}/flow-uploads/tools/${kind}:v1`]));
        assert.equal(seen.Architecture, 'amd64', kind);
        const out = join(folder, `pulled-${kind}.tar`);
        run('skopeo', ['copy', '--src-tls-verify=false', '--src-creds', creds[2], `docker://${host(url)}/flow-uploads/tools/${kind}:v1`, `oci-archive:${out}`]);
      }
      await page.getByRole('link', { name: 'Show the image' }).click();
      await page.getByText('ADD busybox').waitFor();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  'an archive that is dropped on the page is pushed': async ({ page, url, admin, api, shot }) => {
    const folder = await baseImage(url, admin, api);
    try {
      const { docker } = archives(url, admin, folder);
      await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-drop' });
      await page.goto(`${url}/ui/p/flow-drop/images`);
      await page.getByRole('button', { name: 'Upload an archive' }).first().waitFor();
      const drop = async (where, bytes, name) => {
        const carried = await page.evaluateHandle(
          ([text, called]) => {
            const all = new DataTransfer();
            all.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], called));
            return all;
          },
          [Buffer.from(bytes).toString('base64'), name],
        );
        await page.locator(where).dispatchEvent('dragover', { dataTransfer: carried });
        await page.locator(where).dispatchEvent('drop', { dataTransfer: carried });
      };
      await drop('h1', 'no archive', 'notes.txt'); // on the page, which opens the dialog
      await page.getByRole('dialog').getByRole('alert').waitFor();
      await shot(page, 'dropped-nonsense');
      await drop('.drop-zone', readFileSync(docker), 'image.tar'); // in the dialog
      await page.getByLabel('Repository', { exact: true }).fill('dropped');
      await page.getByLabel('Tag', { exact: true }).fill('v1');
      await page.getByRole('button', { name: 'Push', exact: true }).click();
      await page.getByText('flow-drop/dropped:v1 is here').waitFor();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  'a hundred thousand tags are read as one scrolls, and filtered': async ({ page, newPage, url, admin, api, shot, accessible }) => {
    const folder = await baseImage(url, admin, api);
    rmSync(folder, { recursive: true, force: true });
    await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-many' });
    const creds = `${admin.user}:${admin.password}`;
    run('skopeo', ['copy', '--src-tls-verify=false', '--src-creds', creds, '--dest-tls-verify=false', '--dest-creds', creds, `docker://${host(url)}/flow-images/base:1`, `docker://${host(url)}/flow-many/app:t`]);
    run('sqlite3', ['-cmd', '.timeout 20000', join(process.env.STRATA_STATE, 'state.db'),
      "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)" +
      " INSERT INTO tags(repository_id, name, manifest_id, pushed_ms) SELECT t.repository_id, printf('v%06d', i), t.manifest_id, t.pushed_ms + i" +
      " FROM n, tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = 'flow-many/app' AND t.name = 't'"]);
    const measured = {};
    const timed = async (name, act) => {
      const began = performance.now();
      await act();
      measured[name] = Math.round(performance.now() - began);
    };
    const rows = page.locator('.ant-table-row');
    const holder = page.locator('.ant-table-tbody-virtual-holder');
    await timed('first_rows_ms', async () => {
      await page.goto(`${url}/ui/p/flow-many/images/app`);
      await page.getByRole('link', { name: 't', exact: true }).waitFor();
    });
    await page.getByText(/loaded, there are more/).waitFor();
    for (let i = 0; i < 60 && !(await holder.count()); i++) {
      await page.mouse.move(600, 500);
      await page.mouse.wheel(0, 4000);
      await page.waitForTimeout(100);
    }
    const loaded = async () => Number((await page.locator('.list-foot [role=status]').innerText()).match(/^[\d,]+/)[0].replace(',', ''));
    await timed('to_3000_rows_ms', async () => {
      while ((await loaded()) < 3000) {
        await holder.hover();
        await page.mouse.wheel(0, 20_000);
        await page.waitForTimeout(20);
      }
    });
    assert.ok((await rows.count()) < 80, 'only rows in sight exist');
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('Performance.enable');
    await cdp.send('HeapProfiler.collectGarbage');
    measured.heap_mb = Math.round((await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'JSHeapUsedSize').value / 1e6);
    assert.ok(measured.heap_mb < 150, `the page holds ${measured.heap_mb} MB`);
    await accessible(page);
    await shot(page, 'many-tags');
    await timed('filter_ms', async () => {
      await page.getByLabel('Filter by tag or digest').fill('77777');
      await page.getByRole('link', { name: 'v077777' }).waitFor();
    });
    assert.equal(await rows.count(), 1);
    await page.waitForURL(/q=77777/);
    console.log(JSON.stringify(measured));
    const small = await newPage({ width: 400, dark: true });
    await small.goto(`${url}/ui/p/flow-many/images/app`);
    await small.getByRole('link', { name: 't', exact: true }).waitFor();
    await accessible(small);
    await shot(small, 'many-tags-small');
  },

  'a page without a secure context pushes too': async ({ page, url, admin, api }) => {
    const folder = await baseImage(url, admin, api);
    try {
      const made = archives(url, admin, folder);
      await page.addInitScript(() => Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined }));
      await push(page, url, 'flow-images', made.docker, 'insecure', '1');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  'layers that are compressed in a docker-archive are hashed in a worker': async ({ page, url, admin, api }) => {
    const folder = await baseImage(url, admin, api);
    try {
      const { docker } = archives(url, admin, folder);
      run('mkdir', ['-p', join(folder, 'x')]);
      run('tar', ['-C', join(folder, 'x'), '-xf', docker]);
      const [item] = JSON.parse(readFileSync(join(folder, 'x/manifest.json'), 'utf8'));
      const layer = join(folder, 'x', item.Layers[0]);
      run('chmod', ['-R', 'u+w', join(folder, 'x')]);
      writeFileSync(layer, gzipSync(readFileSync(layer)));
      run('tar', ['-C', join(folder, 'x'), '-cf', join(folder, 'worker.tar'), '.']);
      await push(page, url, 'flow-images', join(folder, 'worker.tar'), 'worker', '1');
      const creds = `${admin.user}:${admin.password}`;
      const target = `dir:${join(folder, 'pulled')}`;
      run('skopeo', ['copy', '--src-tls-verify=false', '--src-creds', creds, `docker://${host(url)}/flow-images/worker:1`, target]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  'what is no image archive is refused with what to do': async ({ page, url, api }) => {
    await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-images' });
    await page.goto(`${url}/ui/p/flow-images/images`);
    await page.getByRole('button', { name: 'Upload an archive' }).first().click();
    await page.locator('input[type=file]').setInputFiles({ name: 'x.tar', mimeType: 'application/x-tar', buffer: Buffer.from('nonsense'.repeat(200)) });
    await page.getByText('This is no tar archive').waitFor();
    await page.getByText('Choose a file made by docker save').waitFor();
  },

  'an upload can be cancelled, and leaves no tag': async ({ page, url, admin, api }) => {
    const folder = await baseImage(url, admin, api);
    try {
      const made = archives(url, admin, folder);
      await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-cancel' });
      await page.route('**/v2/**/blobs/uploads/*', async (route) => {
        if (route.request().method() === 'PATCH') {
          await new Promise((done) => setTimeout(done, 3000));
        }
        await route.continue().catch(() => undefined);
      });
      await page.goto(`${url}/ui/p/flow-cancel/images`);
      await page.getByRole('button', { name: 'Upload an archive' }).first().click();
      await page.locator('input[type=file]').setInputFiles(made.docker);
      await page.getByRole('button', { name: 'Push', exact: true }).click();
      await page.getByRole('progressbar').waitFor();
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
      await page.getByText('Drop an image archive here').waitFor();
      const left = await api('GET', '/api/v1/projects/flow-cancel/repositories');
      assert.equal((await (left.json?.() ?? left)).items.length, 0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  'an image shows its layers, commands and configuration; a tag and a repository are deleted': async ({ page, url, admin, api, accessible }) => {
    rmSync(await baseImage(url, admin, api), { recursive: true, force: true });
    await page.goto(`${url}/ui/p/flow-images/images?q=ba`);
    await page.getByRole('link', { name: 'base', exact: true }).click();
    await page.getByRole('link', { name: '1', exact: true }).click();
    await page.getByText('ADD busybox').waitFor();
    await page.getByText('ENV GREETING=hi').waitFor();
    await page.getByText('no files').waitFor();
    await page.getByText('/bin/busybox echo hello').waitFor();
    await page.getByText('vision', { exact: true }).waitFor();
    await page.getByText(`docker pull ${host(url)}/flow-images/base:1`).waitFor();
    await accessible(page);
    await page.getByRole('button', { name: 'Delete the tag 1' }).click();
    await page.getByText('No other tag names this image').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.waitForURL((u) => !u.search.includes('tag='));
  },

  'a guest sees images but no way to push or delete': async ({ url, admin, api, newPage, accessible }) => {
    rmSync(await baseImage(url, admin, api), { recursive: true, force: true });
    await ensure(api, 'POST', '/api/v1/users', { name: 'flow-img-guest', password: 'correct horse battery' });
    await ensure(api, 'PUT', '/api/v1/projects/flow-images/members/flow-img-guest', { role: 'guest' });
    const page = await newPage({ user: 'flow-img-guest', password: 'correct horse battery', locale: 'zh-TW', width: 400, dark: true });
    await page.goto(`${url}/ui/p/flow-images/images`);
    await page.getByRole('link', { name: 'base', exact: true }).waitFor();
    await accessible(page);
    assert.equal(await page.getByRole('button', { name: '上傳封存檔' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: /刪除/ }).count(), 0);
  },
};
