//! A signing key for tests only: its private exponent is public. Signs SIGSTRUCTs without a library for RSA.

use casemate_sgx::{KEY_SIZE, SigStruct, SigStructError, message_representative};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U3072};
use sha2::{Digest, Sha256};

const MODULUS: &str = "d71233d609111c053e1b54447651d1b00d6d17a8dfdd8ec91acefdf7f92b9d645e4fc39071df9a507b1491ae3bdfae42\
     182efa429c77efc96f0581f892f4f8e82069b33c5c23a069194949484932840b59846ef2ff3495312ad3fc0ae2b95d31\
     fafbe6f78d04aecf5a5601d265d1a25dd12204cd8e374d67f86a56e3afef427fb80de3f0931e6a8f6799c170f6bd7f56\
     c9e7b16d60908ee49aec15556b0304ea10c7563e4cc0279729989b3af327662f6d70b9b4a10fd8315d16e020bb957389\
     13125c2287d27dfcfeb03c54d2957c7f98c60f64eded99f21664954a8b885f13d41fd134519e128f4953dacd15e90fd3\
     1596aa18130bb79fc4697eee056270b5b5f27e50b042585a07b05f9a0d5559b0c7c65f10ede76bb44095117a46cdfae6\
     285bd7ad4cd47345fdc36debc7edfcae24c2b8821c24a5717dd3f7f0e2178a374e2081505d865c47a2240679a001506d\
     2b6e74f381abc7ba62563ea730a8b7557f8d12c1361d219b5ca2c064ef0d289f73b0f3602624202157147ff020de8fe1";
const PRIVATE_EXPONENT: &str = "8f6177e4060b68037ebce2d84ee136755e48ba70953e5f30bc89fea550c7be42e98a82604bea66e0520db67427ea742c\
     101f5181bda54a864a03abfb0ca3509ac046777d92c26af0bb8630dadb7702b23bad9f4caa230e20c737fd5c97263e21\
     51fd44a508adc9df918eabe199366c3e8b6c0333b424de455046e497ca9f81aa7ab3ed4b0cbef1b4efbbd64b4f28ff8f\
     314520f395b5b49867480e38f2020346b5da397eddd56fba1bbb12274cc4eeca48f5d123160a9020e8b9eac07d0e4d04\
     d3013e94466cf83fb530311b888557235278201265777ea276a834db00c5d0d5108093c03f0c2aac671a9f47dbccacef\
     e55a32dd78d817b13e3459c29196103e49ea1f6bb495a0f75c9650aba7b8b638cd4fc062a868fa815422ffaee31a828e\
     04d6d07a87366384f0c287c4bec0cfb2231ea6c18a4feddab2c19440a5bd43afaf4831547843c68cf79466e0fa610c12\
     ad278a60c4f1da7240a83aa593dc3412781b29cd81df86ea7fcf3ffdce28bb60036721216486bb0c2779880450c44aab";

/// The public modulus, little-endian.
pub fn modulus() -> [u8; KEY_SIZE] {
    little_endian(&U3072::from_be_hex(MODULUS))
}

/// Completes a SIGSTRUCT with this key.
pub fn sign(sigstruct: SigStruct) -> Result<SigStruct, SigStructError> {
    let signature = signature(&sigstruct.to_be_signed());
    sigstruct.attach(&modulus(), &signature)
}

/// PKCS #1 v1.5 signature with SHA-256, little-endian.
pub fn signature(message: &[u8]) -> [u8; KEY_SIZE] {
    let padded = U3072::from_be_slice(&message_representative(&Sha256::digest(message).into()));
    let modulus = Odd::new(U3072::from_be_hex(MODULUS)).expect("an odd modulus");
    let form = FixedMontyForm::new(&padded, &FixedMontyParams::new_vartime(modulus));
    little_endian(&form.pow(&U3072::from_be_hex(PRIVATE_EXPONENT)).retrieve())
}

fn little_endian(number: &U3072) -> [u8; KEY_SIZE] {
    number.to_le_bytes().as_ref().try_into().expect("384 bytes")
}
