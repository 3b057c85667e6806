//! Login and the check of the Bearer header, with the backend's words for each refusal.

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::errors::{self, Invalid};
use crate::{Account, backend::Backend, clock};

/// Domains that the backend's e-mail check refuses.
const RESERVED_DOMAINS: [&str; 3] = ["local", "test", "localhost"];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(super::resource("/auth/login").route(web::post().to(login)))
        .service(super::resource("/auth/me").route(web::get().to(me)))
        .service(super::resource("/auth/logout").route(web::post().to(logout)));
}

#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    id: Uuid,
    name: &'a str,
    email: &'a str,
    role: &'a str,
}

async fn login(backend: web::Data<Backend>, req: HttpRequest, body: web::Bytes) -> HttpResponse {
    // A form makes the backend fail while it writes its own refusal.
    if !req.content_type().eq_ignore_ascii_case("application/json") {
        return errors::uncaught();
    }
    let Ok(received) = serde_json::from_slice::<Value>(&body) else {
        return errors::unprocessable(
            vec![Invalid::new("body", "JSON decode error", "json_invalid")],
            Value::Null,
        );
    };
    let (email, password) = match credentials(&received) {
        Ok(credentials) => credentials,
        Err(details) => return errors::unprocessable(details, received),
    };
    // Hashing the password keeps the real event loop from everything else, sockets included.
    std::thread::sleep(backend.options.login_time);
    let accounts = [backend.account(), backend.second().clone()];
    let known = accounts
        .iter()
        .find(|account| email == account.email && password == account.password);
    let Some(account) = known else {
        return HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, "Bearer"))
            .json(serde_json::json!({ "detail": "Invalid credentials" }));
    };
    let tokens = (backend.token(account), backend.refresh_token(account));
    let (Ok(access_token), Ok(refresh_token)) = tokens else {
        return errors::caught();
    };
    backend.state().ledger.stats.logins += 1;
    let user = User {
        id: account.user_id,
        name: &account.name,
        email: &account.email,
        role: &account.role,
    };
    HttpResponse::Ok().json(TokenResponse {
        access_token,
        refresh_token,
        token_type: "bearer",
        user,
    })
}

/// E-mail (its domain in lower case) and password, or everything that is wrong with the body.
fn credentials(body: &Value) -> Result<(String, &str), Vec<Invalid>> {
    let mut wrong = Vec::new();
    let mut field = |name: &str, path: &str| match body.get(name) {
        None => {
            wrong.push(Invalid::missing(path));
            None
        }
        Some(Value::String(text)) => Some(text.as_str()),
        Some(_) => {
            wrong.push(Invalid::new(
                path,
                "Input should be a valid string",
                "string_type",
            ));
            None
        }
    };
    let (email, password) = (
        field("email", "body -> email"),
        field("password", "body -> password"),
    );
    let email = email.and_then(|email| match check_email(email) {
        Ok(email) => Some(email),
        Err(reason) => {
            let message = format!("value is not a valid email address: {reason}");
            wrong.insert(0, Invalid::new("body -> email", &message, "value_error"));
            None
        }
    });
    match (email, password) {
        (Some(email), Some(password)) => Ok((email, password)),
        _ => Err(wrong),
    }
}

fn check_email(email: &str) -> Result<String, &'static str> {
    let (local, domain) = email
        .rsplit_once('@')
        .ok_or("An email address must have an @-sign.")?;
    let domain = domain.to_ascii_lowercase();
    if domain
        .rsplit('.')
        .next()
        .is_some_and(|top| RESERVED_DOMAINS.contains(&top))
    {
        return Err(
            "The part after the @-sign is a special-use or reserved name that cannot be used with email.",
        );
    }
    if local.is_empty() || !domain.contains('.') {
        return Err("The part after the @-sign is not valid. It should have a period.");
    }
    Ok(format!("{local}@{domain}"))
}

#[derive(Serialize)]
struct Me<'a> {
    id: Uuid,
    name: &'a str,
    email: &'a str,
    role: &'a str,
    created_at: String,
}

async fn me(backend: web::Data<Backend>, req: HttpRequest) -> HttpResponse {
    if let Some(refusal) = refusal(&backend, &req) {
        return refusal;
    }
    let Some(account) = user(&backend, &req) else {
        return errors::detail(StatusCode::UNAUTHORIZED, "User not found");
    };
    HttpResponse::Ok().json(Me {
        id: account.user_id,
        name: &account.name,
        email: &account.email,
        role: &account.role,
        created_at: clock::naive_utc(account.created_at),
    })
}

/// The token keeps working afterwards, as in the real backend.
async fn logout(backend: web::Data<Backend>, req: HttpRequest) -> HttpResponse {
    refusal(&backend, &req).unwrap_or_else(|| {
        HttpResponse::Ok().json(serde_json::json!({ "message": "Successfully logged out" }))
    })
}

/// Whose token a request brings, if it is a good one.
pub(super) fn user(backend: &Backend, req: &HttpRequest) -> Option<Account> {
    let header = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let claims = backend.verify(header.split_once(' ')?.1)?;
    backend.account_of(Uuid::try_parse(&claims.sub).ok()?)
}

/// Why a request's Bearer header is refused; none if it is good.
pub(super) fn refusal(backend: &Backend, req: &HttpRequest) -> Option<HttpResponse> {
    let refuse = |status, text| Some(errors::detail(status, text));
    let Some(header) = req
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
    else {
        return refuse(StatusCode::FORBIDDEN, "Not authenticated");
    };
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token,
        _ => return refuse(StatusCode::FORBIDDEN, "Invalid authentication credentials"),
    };
    let Some(claims) = backend.verify(token) else {
        return refuse(StatusCode::UNAUTHORIZED, "Invalid or expired token");
    };
    match Uuid::try_parse(&claims.sub) {
        Err(_) => refuse(StatusCode::UNAUTHORIZED, "Invalid user ID in token"),
        Ok(id) if backend.account_of(id).is_none() => refuse(StatusCode::UNAUTHORIZED, "User not found"),
        Ok(_) => None,
    }
}
