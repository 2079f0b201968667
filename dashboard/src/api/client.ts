/** Requests to the API. */

import type { Page, Problem } from "./types";

/** An answer that is no success: what the API says of it, or that there was none. */
export class ApiError extends Error {
  constructor(
    /** 0: no answer came at all. */
    readonly status: number,
    message: string,
    /** What is wrong with which field. */
    readonly fields: { field: string; detail: string }[] = [],
    /** Seconds after which to ask again, where the API says so. */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** What went wrong, as it is told. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export interface Answer<T> {
  body: T;
  /** Where a stream goes on that continues this answer. */
  position: string | null;
}

async function request<T>(path: string, init: RequestInit): Promise<Answer<T>> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "The server does not answer.");
  }
  if (!response.ok) throw await failure(response);
  const body = response.status === 204 ? null : await response.json();
  return { body: body as T, position: response.headers.get("stream-position") };
}

async function failure(response: Response): Promise<ApiError> {
  const after = Number(response.headers.get("retry-after"));
  const retryAfter = after > 0 ? after : null;
  try {
    const problem = (await response.json()) as Problem;
    return new ApiError(response.status, problem.detail ?? problem.title, problem.errors ?? [], retryAfter);
  } catch {
    return new ApiError(
      response.status,
      `The server answered with status ${response.status}.`,
      [],
      retryAfter,
    );
  }
}

/** Parameters of a query; those that are `null`, `undefined` or empty are left out. */
export type Query = Record<string, string | number | null | undefined>;

export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Reads. `no-cache` is the API's own wish; the browser asks with the `ETag` it has. */
export const get = <T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Answer<T>> =>
  request<T>(address(path, query), { signal: signal ?? null });

export const post = async <T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> => {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body), signal: signal ?? null };
  return (await request<T>(path, init)).body;
};

/** Makes something so, asks for something, changes what is there, or ends it. */
export async function send(
  method: "PUT" | "POST" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
): Promise<void> {
  const json = { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  await request(path, { method, ...(body === undefined ? {} : json) });
}

/** All pages of a list, and the position of the first of them. */
export async function all<T>(path: string, signal?: AbortSignal): Promise<Answer<T[]>> {
  const first = await get<Page<T>>(path, {}, signal);
  const items = first.body.items;
  let cursor = first.body.next_cursor;
  while (cursor !== null) {
    const { body } = await get<Page<T>>(path, { cursor }, signal);
    items.push(...body.items);
    cursor = body.next_cursor;
  }
  return { body: items, position: first.position };
}
