//! Configs that write what public projects' own scripts write into a worktree.
//!
//! Each test has the worktree `fix-favicon` in slot 1, and the lines in the order of the script.

use super::*;
use crate::ports::Slot;

/// The env files of the worktree `fix-favicon` in slot 1: a path, then its lines.
fn written(config: &str) -> Vec<String> {
    let config = Config::parse(config).unwrap();
    let bundle = config.bundle(Slot(1)).unwrap();
    let values = Values {
        bundle: &bundle,
        label: &label::label(Some(b"fix-favicon")),
    };
    let lines = |file: EnvFile| {
        let lines = file
            .lines
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        std::iter::once(file.path).chain(lines).collect::<Vec<_>>()
    };
    config
        .env_files(&values)
        .into_iter()
        .flat_map(lines)
        .collect()
}

/// openzim/wp1, `scripts/util/create_worktree.sh`. There a slot is two ports further for the four
/// services that stand in pairs, and one for the others; here it is two for all.
#[test]
fn wp1() {
    let config = r#"{
        "services": {
            "web": 5000, "frontend": 5173, "db": 6300, "redis": 9736,
            "minio": 9000, "minio-console": 9001,
            "zimfarm-db": 2345, "zimfarm-ui": 8003, "zimfarm-api": 8004
        },
        "step": 2,
        "env_files": {
            ".env": {
                "WP10DB_PORT": "{db}",
                "REDIS_PORT": "{redis}",
                "COMPOSE_PROJECT_NAME": "wp1-dev-{worktree}",
                "WP1_SUFFIX": "-{worktree}",
                "WP1_WEB_PORT": "{web}",
                "WP1_FRONTEND_PORT": "{frontend}",
                "WP1_DB_PORT": "{db}",
                "WP1_REDIS_PORT": "{redis}",
                "WP1_MINIO_PORT": "{minio}",
                "WP1_MINIO_CONSOLE_PORT": "{minio-console}",
                "WP1_ZIMFARM_DB_PORT": "{zimfarm-db}",
                "WP1_ZIMFARM_UI_PORT": "{zimfarm-ui}",
                "WP1_ZIMFARM_API_PORT": "{zimfarm-api}"
            }
        }
    }"#;
    let expected = [
        ".env",
        "WP10DB_PORT=6302",
        "REDIS_PORT=9738",
        "COMPOSE_PROJECT_NAME=wp1-dev-fix-favicon",
        "WP1_SUFFIX=-fix-favicon",
        "WP1_WEB_PORT=5002",
        "WP1_FRONTEND_PORT=5175",
        "WP1_DB_PORT=6302",
        "WP1_REDIS_PORT=9738",
        "WP1_MINIO_PORT=9002",
        "WP1_MINIO_CONSOLE_PORT=9003",
        "WP1_ZIMFARM_DB_PORT=2347",
        "WP1_ZIMFARM_UI_PORT=8005",
        "WP1_ZIMFARM_API_PORT=8006",
    ];
    assert_eq!(written(config), expected);
}

/// TryGhost/TrafficAnalytics, `scripts/setup-worktree.sh 1`.
#[test]
fn traffic_analytics() {
    let config = r#"{
        "services": { "firestore": 8080, "pubsub": 8085, "analytics": 3000 },
        "env_files": {
            ".env": {
                "COMPOSE_PROJECT_NAME": "traffic-analytics-{worktree}",
                "FIRESTORE_PORT": "{firestore}",
                "PUBSUB_PORT": "{pubsub}",
                "ANALYTICS_PORT": "{analytics}"
            }
        }
    }"#;
    let expected = [
        ".env",
        "COMPOSE_PROJECT_NAME=traffic-analytics-fix-favicon",
        "FIRESTORE_PORT=8180",
        "PUBSUB_PORT=8185",
        "ANALYTICS_PORT=3100",
    ];
    assert_eq!(written(config), expected);
}

/// Kilo-Org/cloud, `dev/local/infra-env.ts`. Its offsets are hundreds, and the name of its compose
/// project ends in the offset.
#[test]
fn kilo_cloud() {
    let config = r#"{
        "services": { "postgres": 5432, "redis": 6379, "redis-http": 8079, "grafana": 4000 },
        "step": 100,
        "env_files": {
            "dev/.env": {
                "COMPOSE_PROJECT_NAME": "kilo-dev-{worktree}-{slot}00",
                "KILO_POSTGRES_PORT": "{postgres}",
                "KILO_REDIS_PORT": "{redis}",
                "KILO_REDIS_HTTP_PORT": "{redis-http}",
                "KILO_GRAFANA_PORT": "{grafana}"
            },
            ".env.local": {
                "POSTGRES_URL": "postgres://postgres:postgres@localhost:{postgres}/postgres",
                "REDIS_URL": "redis://localhost:{redis}",
                "UPSTASH_REDIS_REST_URL": "http://localhost:{redis-http}"
            },
            "apps/web/.env.test.local": {
                "POSTGRES_URL": "postgres://postgres:postgres@localhost:{postgres}/postgres"
            }
        }
    }"#;
    let expected = [
        "dev/.env",
        "COMPOSE_PROJECT_NAME=kilo-dev-fix-favicon-100",
        "KILO_POSTGRES_PORT=5532",
        "KILO_REDIS_PORT=6479",
        "KILO_REDIS_HTTP_PORT=8179",
        "KILO_GRAFANA_PORT=4100",
        ".env.local",
        "POSTGRES_URL=postgres://postgres:postgres@localhost:5532/postgres",
        "REDIS_URL=redis://localhost:6479",
        "UPSTASH_REDIS_REST_URL=http://localhost:8179",
        "apps/web/.env.test.local",
        "POSTGRES_URL=postgres://postgres:postgres@localhost:5532/postgres",
    ];
    assert_eq!(written(config), expected);
}

/// Dokploy/dokploy, `scripts/assign-worktree-port.sh`. There the port is any free one.
#[test]
fn dokploy() {
    let config = r#"{
        "services": { "dokploy": 3000 },
        "env_files": {
            "apps/dokploy/.env": {
                "PORT": "{dokploy}",
                "BETTER_AUTH_URL": "http://localhost:{dokploy}"
            }
        }
    }"#;
    let expected = [
        "apps/dokploy/.env",
        "PORT=3100",
        "BETTER_AUTH_URL=http://localhost:3100",
    ];
    assert_eq!(written(config), expected);
}

/// A Vite client and a Node server, each with an env file of its own: `PORT` is the server's in both.
#[test]
fn vite_and_node() {
    let config = r#"{
        "services": { "vite": 5173, "api": 8080, "tts": 9000, "playwright": 4173 },
        "step": 10,
        "env_files": {
            ".env.local": {
                "VITE_PORT": "{vite}",
                "PORT": "{api}",
                "VITE_API_PORT": "{api}",
                "LOCAL_TTS_PORT": "{tts}",
                "PLAYWRIGHT_PORT": "{playwright}"
            },
            "server/.env": { "PORT": "{api}", "LOCAL_TTS_PORT": "{tts}" }
        }
    }"#;
    let expected = [
        ".env.local",
        "VITE_PORT=5183",
        "PORT=8090",
        "VITE_API_PORT=8090",
        "LOCAL_TTS_PORT=9010",
        "PLAYWRIGHT_PORT=4183",
        "server/.env",
        "PORT=8090",
        "LOCAL_TTS_PORT=9010",
    ];
    assert_eq!(written(config), expected);
}

/// A `FastAPI` server that must know the origins of its Vite client, and the client the server's URL.
#[test]
fn fastapi_and_vite() {
    let config = r#"{
        "services": { "backend": 8000, "frontend": 5173 },
        "env_files": {
            "backend/.env": {
                "CORS_ORIGINS": "http://localhost:{frontend},http://127.0.0.1:{frontend}"
            },
            "frontend/.env": { "VITE_API_URL": "http://localhost:{backend}" }
        }
    }"#;
    let expected = [
        "backend/.env",
        "CORS_ORIGINS=http://localhost:5273,http://127.0.0.1:5273",
        "frontend/.env",
        "VITE_API_URL=http://localhost:8100",
    ];
    assert_eq!(written(config), expected);
}
