// Errors as the OpenAI API tells them: `{error: {message, type, param, code}}`.

export interface ApiErrorOptions {
  /** Field of the request that is wrong. */
  readonly param?: string;
  /** Name that programs can tell the error by. */
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly options: ApiErrorOptions;

  constructor(status: number, message: string, options: ApiErrorOptions = {}) {
    super(message);
    this.status = status;
    this.options = options;
  }

  body(): unknown {
    const type = this.status < 500 && this.status !== 429 ? "invalid_request_error" : "server_error";
    return {
      error: {
        message: this.message,
        type,
        param: this.options.param ?? null,
        code: this.options.code ?? null,
      },
    };
  }
}

/** A field of the request is wrong. */
export function badRequest(message: string, param?: string): ApiError {
  return new ApiError(400, message, param === undefined ? {} : { param });
}
