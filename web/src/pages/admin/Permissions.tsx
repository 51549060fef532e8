// Which role may do what: the server's own table, with what each permission means.
import { CheckOutlined } from '@ant-design/icons';
import { Skeleton, Typography } from 'antd';
import { Fragment } from 'react';
import { usePermissions } from '../../api/admin';
import { ErrorView } from '../../components/ErrorView';
import { PageHead } from '../../components/PageHead';
import { useText } from '../../i18n';
import { en, type Key } from '../../i18n/en';
import { groupsOf, usePermissionText } from './permissions';

const ROLE_ORDER = ['anonymous', 'user', 'guest', 'developer', 'maintainer', 'admin'];

export default function Permissions() {
  const t = useText();
  const text = usePermissionText();
  const table = usePermissions();
  const roles = table.data?.roles ?? {};
  const names = [...ROLE_ORDER.filter((r) => r in roles), ...Object.keys(roles).filter((r) => !ROLE_ORDER.includes(r))];
  const roleName = (r: string) => (`admin.role_${r}` in en ? t(`admin.role_${r}` as Key) : r);
  const groupName = (g: string) => (`admin.group_${g}` in en ? t(`admin.group_${g}` as Key) : g);
  return (
    <>
      <PageHead title={t('admin.permissions')} commands={[{ cli: 'strata role list', url: '/api/v1/permissions' }]} />
      <Typography.Paragraph type="secondary">{t('admin.permissions_hint')}</Typography.Paragraph>
      {table.error ? (
        <ErrorView error={table.error} retry={() => void table.refetch()} />
      ) : !table.data ? (
        <Skeleton active />
      ) : (
        <div className="matrix" tabIndex={0} role="region" aria-label={t('admin.permissions')}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('admin.permission')}</th>
                {names.map((r) => (
                  <th key={r} scope="col">
                    {roleName(r)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {groupsOf(roles).map(([group, permissions]) => (
                <Fragment key={group}>
                  <tr className="group">
                    <th scope="colgroup" colSpan={names.length + 1}>
                      {groupName(group)}
                    </th>
                  </tr>
                  {permissions.map((p) => (
                    <tr key={p}>
                      <th scope="row">
                        {text(p)} <div className="secondary mono">{p}</div>
                      </th>
                      {names.map((r) => (
                        <td key={r}>
                          {roles[r]?.includes(p) ? (
                            <CheckOutlined className="yes" aria-label={t('admin.yes')} />
                          ) : (
                            <span className="secondary" aria-label={t('admin.no')} role="img">
                              –
                            </span>
                          )}
                        </td>
                      ))}
                    </tr>
                  ))}
                </Fragment>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
