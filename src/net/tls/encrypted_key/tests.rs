//! Keys that OpenSSL 3.0 wrote: one P-256 key, encrypted with `openssl pkcs8 -topk8` in several ways. It protects nothing.

use super::*;

const PASSWORD: &[u8] = "heslo-密码".as_bytes();

const PLAIN: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgH+Vch/xcLVcBSwbYlx8/24r6oRJN6Yb0nmkF47KVBEqhRANCAAQmyg2E1WXp6I\
    SLZmXBQMgplbfNpR77lr4vxSYw84u9XkqqCIHw93a2MpboeFTHzvFUKX1poAUhXKFiDeZmulmL";
const AES128_SHA1: &str = "MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAgLuKeevvxW4AICCAAwHQYJYIZIAWUDBAECBBD6xyXTIQMB/0eosaUOTnL4BIGQN6\
    1/AA+/r4nZiSzP+MUww4MbILg9VLGv9muOLGQ4B1GIPZzcjj8aTAlhc15HfcrHrsqDuVy2L0IeADyZV0wHsi79hQ41K89Y0kIEJiFpJKTIv1v6\
    qkeW1RQSVec///QQnV0eA3Z/iB8WWGcsDoL1bEP4OVKFwSvCaNd5oGHQwgzPc2Pm/yL5yxy3uFlO315H";
const AES192_SHA256: &str = "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgYtBI/YjDzjQICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEARYEEEonELk4cm\
    aliM27OlOsC2sEgZB5MwGNKKhpnbXmOHt07QwFJEkQptEbPlREcVUGjCP7mlI8bORzonuAbcHmnCijqmy9e3/BkauETD3kDnDkYnCzVfn/6rWq\
    rN4/j7Oh3OuU8G2iLhuzaI3wyMDIGSvaBSxXIkle6OPgLDdkCw/WWU2sTEgUCz9kV7G8s32qcrS5gzud4hnkvZVH+vgiUYDWij8=";
const AES256_SHA512: &str = "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgNSm1aIVWkpwICCAAwDAYIKoZIhvcNAgsFADAdBglghkgBZQMEASoEEEdUWJk0uI\
    73r/j/QsH8o0sEgZC2HE7S/hAxx3xK1AXguMI/mjRjy0iSbwOEW0FG2TeUEgV/9H97tpMsV+ZjAzaX0lTVh36uMs5Kcc7Fu+lkNOSQP8aRLxuJ\
    Ri9XvfZl2VisWEYmpE7+v8cyXPbXpKJxSHmtPEcs6UJjDL0KncyZViJI1cUSrQ0NkOEUiKBSAcjqCP27xLuG05XJSq08PLdU7mM=";
const AES256_SHA384: &str = "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi0LKRIGB+AlAICCAAwDAYIKoZIhvcNAgoFADAdBglghkgBZQMEASoEEJIUCLt83B\
    0waQOEw7yBCd4EgZDAn6MgvIwDvjt/S7O4MGjjB/W1ZLxkOxvsSaOz1V7/glmkk+31Qi8kAcZFJOhw5AQ7EtSgM94SAbZzcYNMCsa7Eg89Fh2i\
    xhUwe8NuVX3EB36J7kt2PN/Pzl7v1Uj6u2Quieb+FPl4looexrH1W69QrKuI4QPSswJ38H56kTaYG18c11DaeU/XDdDpMQGYMbs=";
const DES3: &str = "MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAh8gwqxb4qs1AICCAAwDAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIO3eacMPUq9\
    YEgZCD2QoQ6RTupGGbVne+/ZsfGLrwChz1VDi/EdwtJWzq1H/ZCgvnTBy5hbzmi98SfzxdR63KD5u1RLFWBEBnyMZceSQ6fPmCqhbsMYDXT95c\
    crrNwadmFPCo5fezX57w7H1TzWPlXDo16o3juLnm7SF+t9869bP7Dpq00bqwMzKcE0m6VtCu6P5wNzwIj5EhJWM=";
const SCRYPT: &str = "MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAhShYn/B+I7ywICQAACAQgCAQEwHQYJYIZIAWUDBAEqBBDif44liSKBG0egLAUh3w\
    q0BIGQSVT8XbG7840kVkFskZBsdIJWpoFSawDHi+DYV71EAWIF7heJkEJ0booLF463Fn2Fa8EW9uQYINI2VdXOmkwLq6u4CW0msDzZYiG/3NXQ\
    94uS2CYrAyEd2tcJsLXeLJryOGrH7kvF6yQ54D7QObkvOjNB2OUsS11zLFGIwU9ARx2P7jlR0mIvMFHTACFbWeU0";
const PBES1: &str = "MIGxMBwGCiqGSIb3DQEMAQMwDgQI5tSlo+MN8lwCAggABIGQOcipBE/qgcfZdBD9S94UOAc5VvWLvUVS4xNXAXG3qLXsWl5NMy+Cbx00EsUNAJ\
    04QDJ7Tri7OmCd4oaTTQPRbkxyXXeeNkl2bLpIkeXbNVQq/Kz+aPVtxwOQLNKp5qyaz+kLhwGm85cnxi9mXLa0VAT6cim/Cq/nj3jWePi3ILv2\
    xpta+VyMfYrP9Y56P3zt";

fn pem(body: &str) -> String {
    format!(
        "# a comment\n-----BEGIN ENCRYPTED PRIVATE KEY-----\r\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
}

fn opened(body: &str, password: &[u8]) -> Result<Vec<u8>, Fault> {
    decrypt(pem(body).as_bytes(), password).map(|key| key.to_vec())
}

#[test]
fn what_openssl_encrypted_is_decrypted() {
    let plain = BASE64_STANDARD.decode(PLAIN).unwrap();
    for body in [AES128_SHA1, AES192_SHA256, AES256_SHA384, AES256_SHA512] {
        assert_eq!(opened(body, PASSWORD).as_ref(), Ok(&plain));
    }
}

#[test]
fn a_wrong_password_is_told() {
    for number in 0..600 {
        let password = format!("wrong {number}");
        assert_eq!(opened(AES128_SHA1, password.as_bytes()), Err(Fault::Password), "{password}");
    }
    assert_eq!(opened(AES256_SHA512, b""), Err(Fault::Password));
}

#[test]
fn other_ways_to_encrypt_are_told_apart_from_nonsense() {
    for body in [DES3, SCRYPT, PBES1] {
        assert_eq!(opened(body, PASSWORD), Err(Fault::Scheme));
    }
    for body in ["", "AAAA", "MAA=", "not base64!"] {
        assert_eq!(opened(body, PASSWORD), Err(Fault::Malformed), "{body}");
    }
    assert_eq!(decrypt(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=", b"x"), Err(Fault::Malformed));
}

#[test]
fn no_truncated_or_damaged_key_panics_or_opens() {
    let der = BASE64_STANDARD.decode(AES256_SHA512).unwrap();
    let plain = BASE64_STANDARD.decode(PLAIN).unwrap();
    let open = |der: &[u8]| {
        // Without the cost of the hash: the first of its iterations is as good as the last here.
        let sealed = Sealed::read(der)?;
        cbc(&Aes256::new(&[7; 32].into()), &sealed).map(|_| ()).ok_or(Fault::Password)
    };
    for length in 0..der.len() {
        assert!(open(&der[..length]).is_err(), "{length}");
    }
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut damaged = der.clone();
            damaged[at] ^= 1 << bit;
            open(&damaged).ok();
        }
    }
    assert_eq!(opened(AES256_SHA512, PASSWORD), Ok(plain));
}

#[test]
fn iterations_have_a_limit() {
    let der = BASE64_STANDARD.decode(AES256_SHA512).unwrap();
    let at = der.windows(4).position(|window| window == [0x02, 0x02, 0x08, 0x00]).expect("2048 iterations");
    for (count, is_read) in [
        ([0x02, 0x02, 0x00, 0x01], true),
        ([0x02, 0x02, 0x00, 0x00], false),
        ([0x02, 0x02, 0xff, 0xff], false),
    ] {
        let mut changed = der.clone();
        changed[at..at + 4].copy_from_slice(&count);
        assert_eq!(Sealed::read(&changed).map(|_| ()).is_ok(), is_read, "{count:?}");
    }
    assert_eq!(unsigned(&[0x00, 0xff, 0xff, 0xff, 0xff]), Some(u32::MAX));
    assert_eq!((unsigned(&[1, 0, 0, 0, 0]), unsigned(&[])), (None, None));
}

#[test]
fn pbkdf2_gives_what_rfc_6070_and_rfc_7914_say() {
    let mut key = [0; 20];
    pbkdf2::<Sha1>(b"password", b"salt", 2, &mut key);
    assert_eq!(key[..4], [0xea, 0x6c, 0x01, 0x4d]);
    let mut key = [0; 25];
    pbkdf2::<Sha1>(b"passwordPASSWORDpassword", b"saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, &mut key);
    assert_eq!((key[0], key[24]), (0x3d, 0x38));
    let mut key = [0; 64];
    pbkdf2::<Sha256>(b"passwd", b"salt", 1, &mut key);
    assert_eq!((key[..4].to_vec(), key[63]), (vec![0x55, 0xac, 0x04, 0x6e], 0x83));
}
