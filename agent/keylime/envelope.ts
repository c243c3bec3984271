/** An answer in the form that all of Keylime's services use. */
export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Methods that the path has, with a 405. */
  readonly allow?: string;
}

/** A GET carries results; a POST that worked carries null. */
export function success(results: object | null): Reply {
  return { status: 200, body: JSON.stringify({ code: 200, status: 'Success', results }) };
}

export function failure(status: number, message: string): Reply {
  return { status, body: JSON.stringify({ code: status, status: message, results: {} }) };
}

export function wrongMethod(allow: string, folder: string): Reply {
  return { ...failure(405, `Method is not supported in /${folder} interface`), allow };
}

/** Thrown by what reads a request; says what to answer. */
export class RequestRefused extends Error {
  readonly reply: Reply;

  constructor(status: number, message: string) {
    super(message);
    this.reply = failure(status, message);
  }
}
