// Who is signed in.
import { ApiError, api, get, setCsrf } from './client';
import type { Me } from './types';

/** null: nobody. */
export async function whoAmI(): Promise<Me | null> {
  try {
    const me = await api<Me>('GET', '/api/v1/me', { isSignIn: true });
    setCsrf(me.csrf ?? '');
    return me;
  } catch (e) {
    if (e instanceof ApiError && e.status === 401) {
      return null;
    }
    throw e;
  }
}

export async function signIn(user: string, password: string): Promise<Me> {
  const answer = await api<{ csrf: string }>('POST', '/api/v1/login', { body: { user, password }, isSignIn: true });
  setCsrf(answer.csrf);
  return get<Me>('/api/v1/me');
}

export async function signOut(): Promise<void> {
  await api<void>('POST', '/api/v1/logout');
  setCsrf('');
}
