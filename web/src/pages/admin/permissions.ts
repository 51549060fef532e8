// Permissions by what they are about, and in plain words.
import { useText } from '../../i18n';
import { en, type Key } from '../../i18n/en';

export const permissionKey = (permission: string) => `admin.perm_${permission.replace(/[:-]/g, '_')}`;

/** In plain words; a permission of a newer server has none here and is shown by its name. */
export function usePermissionText(): (permission: string) => string {
  const t = useText();
  return (permission) => {
    const key = permissionKey(permission);
    return key in en ? t(key as Key) : permission;
  };
}

/** [["job", ["job:read", …]], …]; what has no group is about everyone. */
export function groupsOf(roles: Record<string, string[]>): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const p of new Set(Object.values(roles).flat())) {
    const group = p.includes(':') ? (p.split(':')[0] ?? '') : 'everyone';
    groups.set(group, [...(groups.get(group) ?? []), p]);
  }
  return [...groups];
}
