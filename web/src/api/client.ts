// Owns every request to the daemon: addresses, the bearer token, and errors in the server's own words.
import { token } from './token';
import type { ErrorBody, Problem } from './types';

export const API_ROOT = '/api/v1';

/** A refusal by the server, or (status 0) no answer at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Problem[] = [],
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

type Query = Record<string, string | number | undefined>;

export function address(path: string, query: Query = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)]));
  return `${API_ROOT}${path}${pairs.length ? `?${search}` : ''}`;
}

async function refusal(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as ErrorBody;
    return new ApiError(response.status, error.code, error.message, error.details);
  } catch {
    // A proxy in between answers in its own format.
    return new ApiError(response.status, 'http', `The server answered ${response.status} ${response.statusText}`.trim());
  }
}

async function send<T>(path: string, init: RequestInit): Promise<T> {
  const headers = new Headers(init.headers);
  headers.set('Accept', 'application/json');
  const secret = token();
  if (secret) headers.set('Authorization', `Bearer ${secret}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw new ApiError(0, 'unreachable', 'The Moelab daemon does not answer. Is `moelab serve` still running?');
  }
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as T;
}

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return send<T>(address(path, query), { method: 'GET', ...(signal ? { signal } : {}) });
}

export function remove<T>(path: string): Promise<T> {
  return send<T>(address(path), { method: 'DELETE' });
}

export function post<T>(path: string, body?: unknown): Promise<T> {
  return send<T>(address(path), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body ?? {}),
  });
}
