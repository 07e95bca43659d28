//! Keys of SSH.

use expect_test::expect;

use super::check_errors;

const EVIDENCE: &str = "[evidence]\norigin = \"gatewright.example/test\"\n";

#[test]
fn f037_what_ssh_needs_and_what_it_has_no_use_for() {
    let source = format!(
        "{EVIDENCE}[[target]]\nname = \"host\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:22\"\naccount = \"deploy\"\n\
         tls = {{ mode = \"off\" }}\n\
         [[listener]]\nname = \"ssh\"\nprotocol = \"ssh\"\nlisten = \"127.0.0.1:2222\"\ntarget = \"host\"\n\
         stall_timeout = \"1m\"\n"
    );
    check_errors(
        &source,
        expect![[r#"
            warning: nothing proves the account to this target: it has to let anybody in
             --> gatewright.toml:3:1
              |
            3 | [[target]]
              | ^^^^^^^^^^
              |
              = help: add `private_key = { file = "…" }`, `certificate = true` or `password = { file = "…" }`

            error: an SSH target needs `host_keys`, `host_authorities` or `known_hosts`: anybody could be it otherwise
             --> gatewright.toml:3:1
              |
            3 | [[target]]
              | ^^^^^^^^^^
              |
              = help: add what `ssh-keyscan -t ed25519 HOST` prints behind the name: `host_keys = ["ssh-ed25519 AAAA…"]`, once you have made sure that it is the host's

            error: SSH protects its connections itself
             --> gatewright.toml:8:7
              |
            8 | tls = { mode = "off" }
              |       ^^^^^^^^^^^^^^^^
              |
              = help: remove `tls`

            error: an SSH listener needs `host_key`: clients know the gateway by it
             --> gatewright.toml:9:1
              |
            9 | [[listener]]
              | ^^^^^^^^^^^^
              |
              = help: make one with `ssh-keygen -t ed25519 -N '' -f ssh_host_key`, and add `host_key = { file = "ssh_host_key" }`

            error: `stall_timeout` is for HTTP and PostgreSQL listeners only
              --> gatewright.toml:14:17
               |
            14 | stall_timeout = "1m"
               |                 ^^^^
               |
               = help: remove it

        "#]],
    );
}

#[test]
fn f037_keys_that_are_none() {
    let source = format!(
        "{EVIDENCE}[[target]]\nname = \"host\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:22\"\naccount = \"deploy\"\n\
         private_key = {{ env = \"APP_PASSWORD\" }}\nhost_keys = [\"ssh-ed25519 x\"]\n\
         [[target]]\nname = \"db\"\nprotocol = \"postgres\"\naddress = \"127.0.0.1:5432\"\naccount = \"app\"\n\
         host_keys = [\"ssh-ed25519 x\"]\ntls = {{ mode = \"off\" }}\n\
         [[listener]]\nname = \"ssh\"\nprotocol = \"ssh\"\nlisten = \"0.0.0.0:2222\"\ntarget = \"host\"\n\
         host_key = {{ env = \"APP_PASSWORD\" }}\n"
    );
    check_errors(
        &source,
        expect![[r#"
        error: `private_key` is no private key in OpenSSH's format
         --> gatewright.toml:8:15
          |
        8 | private_key = { env = "APP_PASSWORD" }
          |               ^^^^^^^^^^^^^^^^^^^^^^^^
          |
          = help: make one with `ssh-keygen -t ed25519 -N '' -f FILE`

        error: one of `host_keys` is no public key
         --> gatewright.toml:9:13
          |
        9 | host_keys = ["ssh-ed25519 x"]
          |             ^^^^^^^^^^^^^^^^^
          |
          = help: write keys as `ssh-keyscan` prints them, without the name before them: `ssh-ed25519 AAAA…`

        error: `host_keys` is for SSH targets only
          --> gatewright.toml:15:13
           |
        15 | host_keys = ["ssh-ed25519 x"]
           |             ^^^^^^^^^^^^^^^^^
           |
           = help: remove it

        error: `host_key` is no private key in OpenSSH's format
          --> gatewright.toml:22:12
           |
        22 | host_key = { env = "APP_PASSWORD" }
           |            ^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: make one with `ssh-keygen -t ed25519 -N '' -f FILE`

    "#]],
    );
}

#[test]
fn f037_whose_keys_and_whose_targets() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIxm2dbyXVYEKwrqV8VJ4nC6g2cMQ1cNJ3aU0yQmWf3A";
    let source = format!(
        "{EVIDENCE}[[identity.ssh_key]]\nkey = \"{key}\"\nsubject = \"ci\"\nkind = \"service\"\n\
         [[identity.ssh_authority]]\nname = \"corp\"\nkeys = [\"{key}\"]\n\
         [[target]]\nname = \"host\"\nprotocol = \"ssh\"\naddress = \"127.0.0.1:22\"\naccount = \"deploy\"\n\
         host_keys = [\"{key}\"]\ncertificate = true\nprivate_key = {{ env = \"APP_PASSWORD\" }}\n\
         [[listener]]\nname = \"ssh\"\nprotocol = \"ssh\"\nlisten = \"127.0.0.1:2222\"\ntarget = \"host\"\n\
         targets = [\"host\", \"nowhere\", \"host\"]\n\
         [[listener]]\nname = \"http\"\nprotocol = \"http\"\nlisten = \"127.0.0.1:2223\"\ntargets = [\"host\"]\n"
    );
    check_errors(
        &source,
        expect![[r#"
        error: the SSH key SHA256:VNTQutUuMsSL5Jz97hEfCkZUuwq2JcLJpfP77oxPYBA is configured twice
         --> gatewright.toml:3:3
          |
        3 | [[identity.ssh_key]]
          |   ^^^^^^^^
          |
          = help: write each name, and each key, once: whose it is must not depend on their order

        error: `private_key` is no private key in OpenSSH's format
          --> gatewright.toml:17:15
           |
        17 | private_key = { env = "APP_PASSWORD" }
           |               ^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: make one with `ssh-keygen -t ed25519 -N '' -f FILE`

        error: `private_key` has no effect beside `certificate`
          --> gatewright.toml:17:15
           |
        17 | private_key = { env = "APP_PASSWORD" }
           |               ^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: remove one of them

        error: an SSH listener needs `host_key`: clients know the gateway by it
          --> gatewright.toml:18:1
           |
        18 | [[listener]]
           | ^^^^^^^^^^^^
           |
           = help: make one with `ssh-keygen -t ed25519 -N '' -f ssh_host_key`, and add `host_key = { file = "ssh_host_key" }`

        error: `target` has no effect beside `targets`
          --> gatewright.toml:22:10
           |
        22 | target = "host"
           |          ^^^^^^
           |
           = help: remove one of them

        error: `host` is there twice
          --> gatewright.toml:23:11
           |
        23 | targets = ["host", "nowhere", "host"]
           |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: write each target once

        error: there is no target named `nowhere`
          --> gatewright.toml:23:11
           |
        23 | targets = ["host", "nowhere", "host"]
           |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: add a `[[target]]` of that name, or use one of: `host`

        error: `targets` is for SSH listeners only
          --> gatewright.toml:28:11
           |
        28 | targets = ["host"]
           |           ^^^^^^^^
           |
           = help: remove it

    "#]],
    );
}
