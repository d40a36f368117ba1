//! The layout: what is where, what is refused, and that nothing of it depends on anything but its inputs.

#[path = "common/image.rs"]
mod image;

use casemate_sgx::layout::{
    Content, Features, INITIAL_HEAP, Layout, LayoutBlock, LayoutError, LayoutFlags, Parameters, USER_BASE,
};
use casemate_sgx::{Image, PAGE_SIZE, PageType, SecInfoFlags, Xfrm};
use proptest::prelude::*;

const PAGE: u64 = PAGE_SIZE as u64;

fn parameters() -> Parameters {
    Parameters {
        enclave_size: 256 << 20,
        heap_size: None,
        max_threads: 8,
        edmm: false,
        exinfo: false,
        features: Features::default(),
        measured: [0xab; 64],
    }
}

/// Page addresses in the order in which they are added.
fn pages(layout: &Layout) -> Vec<u64> {
    layout.regions().iter().flat_map(|r| (0..r.pages).map(|index| r.offset + index * PAGE)).collect()
}

#[test]
fn pages_ascend_and_stay_inside() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    for edmm in [false, true] {
        let layout = Layout::new(&image, &Parameters { edmm, ..parameters() }).unwrap();
        let pages = pages(&layout);
        assert!(pages.is_sorted_by(|a, b| a < b));
        assert!(*pages.first().unwrap() >= USER_BASE);
        assert_eq!(*pages.last().unwrap() + PAGE, layout.block().image_base + image.size());
        assert!(layout.block().image_base + image.size() <= 256 << 20);
    }
}

#[test]
fn with_edmm_everything_is_measured_and_the_size_does_not_matter() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let count = |enclave_size| {
        let layout = Layout::new(&image, &Parameters { edmm: true, enclave_size, ..parameters() }).unwrap();
        assert!(layout.regions().iter().all(|region| region.measured));
        pages(&layout).len()
    };
    assert_eq!(count(256 << 20), count(64 << 30));
    assert!(count(256 << 20) < 500);
}

#[test]
fn without_edmm_only_pages_that_the_enclave_clears_itself_are_unmeasured() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = Layout::new(&image, &parameters()).unwrap();
    let block = layout.block();
    for region in layout.regions().iter().filter(|region| !region.measured) {
        let end = region.offset + region.pages * PAGE;
        let user = region.offset == block.user_base && end == block.user_top;
        let heap = region.offset == block.heap_base && end == block.heap_base + block.heap_size;
        assert!(user || heap);
        assert_eq!(region.content, Content::Zero);
    }
}

#[test]
fn threads_are_apart_with_guards() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = Layout::new(&image, &parameters()).unwrap();
    let added = pages(&layout);
    let mut end = layout.block().heap_base + layout.block().heap_size;
    for number in 0..8 {
        let thread = layout.block().thread(number).unwrap();
        assert!(thread.stack.start >= end + PAGE);
        for guard in [thread.stack.start - PAGE, thread.stack.end, thread.exception_stack.end] {
            assert!(added.binary_search(&guard).is_err());
        }
        let tcs = layout.block().tcs(number);
        assert_eq!((tcs.ossa, tcs.ogsbase), (thread.ssa.start, thread.area.start));
        assert_eq!(tcs.ossa + u64::from(tcs.nssa * layout.block().ssa_frame_size) * PAGE, thread.tcs);
        assert_eq!(tcs.oentry, layout.block().image_base + 0x1010);
        end = thread.tcs + PAGE;
    }
    assert!(end <= layout.block().measured_page());
    assert_eq!(layout.block().thread(8), None);
}

#[test]
fn tcs_pages_carry_no_permissions_and_code_is_not_writable() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = Layout::new(&image, &Parameters { edmm: true, ..parameters() }).unwrap();
    for region in layout.regions() {
        match region.content {
            Content::Tcs(_) => assert_eq!(region.flags, PageType::Tcs.flags()),
            _ => assert!(!region.flags.contains(SecInfoFlags::W | SecInfoFlags::X)),
        }
    }
}

#[test]
fn image_pages_are_the_files_bytes_and_zero_around_them() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let mut page = [0xff; PAGE_SIZE];
    image.read_page(&image.segments()[0], 0, &mut page);
    assert!(page[..0x400].iter().all(|byte| *byte == 0));
    assert_eq!(page[0x400..0x440], [1; 64]);
    assert!(page[0x440..].iter().all(|byte| *byte == 0));
    image.read_page(&image.segments()[1], 1, &mut page);
    assert_eq!(page[903], (4999 % 251) as u8);
    assert_eq!(page[904..], [0; PAGE_SIZE - 904]);
    let data = &image.segments()[2];
    image.read_page(data, 1, &mut page);
    assert_eq!((page[0x1f], page[0x20]), (7, 0));
    assert_eq!(data.pages(), 4);
}

#[test]
fn the_measured_page_says_what_was_laid_out() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let layout = Layout::new(&image, &Parameters { edmm: true, exinfo: true, ..parameters() }).unwrap();
    let region = *layout.regions().iter().find(|region| region.content == Content::Measured).unwrap();
    let mut page = [0; PAGE_SIZE];
    layout.read_page(&image, &region, 0, &mut page);
    assert_eq!(page[..64], [0xab; 64]);
    let block = LayoutBlock::read(&page).unwrap();
    assert_eq!(&block, layout.block());
    assert_eq!(block.flags(), LayoutFlags::EDMM | LayoutFlags::EXINFO);
    assert_eq!((block.heap_added, block.added_threads), (INITIAL_HEAP, 1));
    assert_eq!(region.offset, block.measured_page());
    page[64] ^= 1;
    assert_eq!(LayoutBlock::read(&page), None);
}

#[test]
fn every_input_is_in_the_measurement() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let measure = |parameters: &Parameters| Layout::new(&image, parameters).unwrap().measure(&image);
    let base = Parameters { edmm: true, ..parameters() };
    let mut seen = vec![measure(&base)];
    let mut other = base;
    other.measured[63] ^= 1;
    let others = [
        other,
        Parameters { enclave_size: 512 << 20, ..base },
        Parameters { max_threads: 9, ..base },
        Parameters { edmm: false, ..base },
        Parameters { exinfo: true, ..base },
        Parameters { heap_size: Some(32 << 20), ..base },
        Parameters { features: Features { required: Xfrm::LEGACY, optional: Xfrm::AVX | Xfrm::AMX }, ..base },
    ];
    for parameters in others {
        let value = measure(&parameters);
        assert!(!seen.contains(&value));
        seen.push(value);
    }
    let mut changed = bytes.clone();
    changed[0x1234] ^= 1;
    let image = Image::parse(&changed).unwrap();
    assert!(!seen.contains(&Layout::new(&image, &base).unwrap().measure(&image)));
}

#[test]
fn impossible_parameters_are_refused_with_what_would_do() {
    let bytes = image::sample();
    let image = Image::parse(&bytes).unwrap();
    let refuse = |parameters: Parameters| Layout::new(&image, &parameters).unwrap_err();
    assert_eq!(
        refuse(Parameters { enclave_size: 3 << 20, ..parameters() }),
        LayoutError::EnclaveSize(3 << 20)
    );
    assert_eq!(refuse(Parameters { enclave_size: 0, ..parameters() }), LayoutError::EnclaveSize(0));
    assert_eq!(refuse(Parameters { max_threads: 0, ..parameters() }), LayoutError::MaxThreads(0));
    assert_eq!(refuse(Parameters { heap_size: Some(4097), ..parameters() }), LayoutError::HeapSize(4097));
    let features = Features { required: Xfrm::LEGACY, optional: Xfrm::AVX512 };
    assert_eq!(refuse(Parameters { features, ..parameters() }), LayoutError::Features(0xe3));
    let too_small = refuse(Parameters { enclave_size: 1 << 20, ..parameters() });
    let LayoutError::TooSmall { needed, .. } = too_small else { panic!("{too_small}") };
    Layout::new(&image, &Parameters { enclave_size: needed, ..parameters() }).unwrap();
    assert!(too_small.to_string().contains(&needed.to_string()));
}

#[test]
fn images_that_another_loader_would_read_differently_are_refused() {
    let refused = |bytes: Vec<u8>, why: &str| {
        let error = Image::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    let code: &[u8] = &[0x90; 16];
    refused(image::elf(0x1000, &[(7, 0x1000, 16, code)]), "both writable and executable");
    refused(image::elf(0x1000, &[(4, 0x1000, 16, code)]), "entry point");
    refused(image::elf(0x1000, &[(5, 0x1000, 16, code), (6, 0x1800, 16, code)]), "share a page");
    refused(image::elf(0x1000, &[(5, 0x1000, 8, code)]), "smaller in memory");
    refused(image::elf(0x1000, &[]), "no loadable segment");
    let edit = |at: usize, value: u8| {
        let mut bytes = image::sample();
        bytes[at] = value;
        bytes
    };
    refused(edit(4, 1), "64-bit");
    refused(edit(18, 3), "x86-64");
    refused(edit(16, 2), "position-independent");
    refused(edit(64, 3), "dynamic loader");
    refused(edit(54, 57), "unknown size");
    refused(image::sample()[..60].to_vec(), "shorter");
    refused(image::sample()[..100].to_vec(), "outside the file");
    refused(image::sample()[..0x1800].to_vec(), "outside the file");
}

proptest! {
    #[test]
    fn damaged_images_never_panic(position in 0usize..300, value: u8, length in 0usize..20000) {
        let mut bytes = image::sample();
        bytes[position] = value;
        bytes.truncate(length.max(position + 1));
        let Ok(image) = Image::parse(&bytes) else { return Ok(()) };
        let Ok(layout) = Layout::new(&image, &Parameters { edmm: true, ..parameters() }) else { return Ok(()) };
        if image.size() < 1 << 20 {
            let _ = layout.measure(&image);
        }
    }

    #[test]
    fn any_parameters_give_a_layout_in_order_or_a_refusal(
        power in 0u32..64, threads: u32, heap in prop::option::of(any::<u64>()), edmm: bool, required: u64, optional: u64,
    ) {
        let bytes = image::sample();
        let image = Image::parse(&bytes).unwrap();
        let features = Features {
            required: Xfrm::from_bits_retain(required),
            optional: Xfrm::from_bits_retain(optional & 0xff),
        };
        let base = Parameters { features: Features::default(), ..parameters() };
        for features in [features, base.features] {
            let asked = Parameters { enclave_size: 1 << power, max_threads: threads % 64, heap_size: heap, edmm, features, ..base };
            if let Ok(layout) = Layout::new(&image, &asked) {
                let mut end = 0;
                for region in layout.regions() {
                    prop_assert!(region.offset >= end && region.pages > 0);
                    end = region.offset + region.pages * PAGE;
                }
                prop_assert!(end <= 1 << power);
            }
        }
    }
}
