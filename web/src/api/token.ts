// Owns the access token: taken once from `?token=`, kept for the tab's later visits, and stripped from the address bar.
const STORAGE_KEY = 'moelab.token';

let current: string | null = null;

/** Call once before the first request. */
export function takeTokenFromUrl(): void {
  const url = new URL(window.location.href);
  const given = url.searchParams.get('token');
  if (given) {
    localStorage.setItem(STORAGE_KEY, given);
    url.searchParams.delete('token');
    window.history.replaceState(null, '', url.pathname + url.search + url.hash);
  }
  current = localStorage.getItem(STORAGE_KEY);
}

export function token(): string | null {
  return current;
}

/** Adds the token to an address that the browser itself opens (event streams, images, downloads), where no header can be set. */
export function withToken(address: string): string {
  if (!current) return address;
  return `${address}${address.includes('?') ? '&' : '?'}token=${encodeURIComponent(current)}`;
}
